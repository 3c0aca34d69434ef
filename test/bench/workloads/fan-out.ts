/** One publisher, and as many connections as wanted with one subscription each. */
import type { Result } from "../figures.ts";
import { fanOutLimit, sharedFramesLimit } from "../limits/fan-out.ts";
import { Distribution, measured, Schedule } from "../measure.ts";
import type { Publisher } from "../system.ts";
import { firstInFlight, Loop } from "./loop.ts";
import { close, received, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 100;
/** Deliveries a second that every system can bear on two cores. */
const sameLoad = 50_000;
/** Of more connections, only so many are asked when a message came; they are spread evenly, the last one included. */
const timedConnections = 100;

export const fanOut = (most: number): Workload => {
  const limit = fanOutLimit(most);
  return {
    name: `fan-out-${most}`,
    says: `one publisher, ${most} connections with one subscription each, ${bytes} bytes, as many on their way to the last of them as the system does best with; then at half that rate, and at ${sameLoad} deliveries a second`,
    needs: [],
    limits: [limit, sharedFramesLimit(most)],
    async run(stage) {
      const connections = stage.size(most);
      const all = await seats(stage, connections, () => ({ channel: "bench.fan-out", from: "latest" }));
      const { client, pids } = stage.running;
      const publisher = await client.publisher({
        name: "publisher",
        channel: () => "bench.fan-out",
        bytes,
        inFlight: 0,
      });
      const { subscriber: last } = all.at(-1) as Seat;
      const loop = new Loop(publisher, firstInFlight(connections));
      last.onProgress = (_, count) => loop.arrived(count);
      await loop.findBest();
      const { perSecond, load } = await measured(pids, () => received(all), [0, 2]);
      loop.stop();
      await settle(stage, publisher, all, publisher.sent * connections);
      const behind = all.reduce((sum, { subscriber }) => sum + (subscriber.behind ?? 0), 0);
      const half = await at(stage, all, publisher, "half load", perSecond / connections / 2);
      const same = await at(stage, all, publisher, `${sameLoad}/s`, stage.size(sameLoad) / connections);
      close(all, publisher);
      return {
        "deliveries/s": { value: perSecond, unit: "deliveries/s", of: limit },
        ...load,
        "in flight": { value: loop.inFlight, unit: "messages" },
        "fell behind": { value: behind, unit: "times" },
        ...half,
        ...same,
      };
    },
  };
};

async function at(
  stage: Stage,
  all: readonly Seat[],
  publisher: Publisher,
  name: string,
  perSecond: number,
): Promise<Result> {
  const schedule = new Schedule(perSecond, 1.5, publisher.sent);
  const delivered = new Distribution();
  const step = Math.max(1, Math.floor(all.length / timedConnections));
  for (let i = all.length - 1; i >= 0; i -= step) {
    (all[i] as Seat).subscriber.onProgress = (first, count) => {
      for (let number = first; number < first + count; number++) delivered.add(schedule.since(number));
    };
  }
  await schedule.run((count) => publisher.sendMore(count));
  await settle(stage, publisher, all, publisher.sent * all.length);
  return {
    [`p50 ms, delivered at ${name}`]: { value: delivered.at(0.5), unit: "ms" },
    [`p99 ms, delivered at ${name}`]: { value: delivered.at(0.99), unit: "ms" },
  };
}
