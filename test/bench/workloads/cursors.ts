/** Cursors that all move once a second. */
import { Distribution, measured, Schedule } from "../measure.ts";
import { Sequence } from "../sequence.ts";
import { close, received, seats, settle, type Workload } from "./workload.ts";

const most = 1_000;
const connections = 100;
const bytes = 100;

export const cursors: Workload = {
  name: "cursors",
  says: `100,000 durable cursors, 1,000 on each of ${connections} connections, each acknowledging a message a second; p50 and p99 of publishing meanwhile`,
  needs: ["acknowledges", "channels", "cursors"],
  limits: [],
  async run(stage) {
    const channels = stage.size(most);
    const { client, pids } = stage.running;
    const name = (number: number) => `bench.cursors.${number % channels}`;
    const all = await seats(stage, connections, (i) => ({
      channel: Array.from({ length: channels }, (_, nth) => name(nth)),
      from: "latest",
      sequence: new Sequence({ channels }),
      cursor: `cursor-${i}`,
    }));
    const publisher = await client.publisher({ name: "publisher", channel: name, bytes, inFlight: 0 });
    const schedule = new Schedule(channels, 4);
    const times = new Distribution();
    let confirmed = 0;
    publisher.onAcknowledged = () => {
      while (confirmed < publisher.acknowledged) times.add(schedule.since(++confirmed));
    };
    const traffic = schedule.run((count) => publisher.sendMore(count));
    const { perSecond, load } = await measured(pids, () => received(all), [0.5, 3]);
    await traffic;
    await settle(stage, publisher, all, publisher.sent * connections);
    close(all, publisher);
    return {
      "acks/s": { value: perSecond, unit: "acks/s" },
      ...load,
      "p50 ms": { value: times.at(0.5), unit: "ms" },
      "p99 ms": { value: times.at(0.99), unit: "ms" },
    };
  },
};
