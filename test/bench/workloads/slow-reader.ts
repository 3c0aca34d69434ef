/** What somebody who does not read costs those who do. */
import { median } from "../figures.ts";
import { measured, until } from "../measure.ts";
import { Sequence } from "../sequence.ts";
import type { Publisher } from "../system.ts";
import { firstInFlight, Loop } from "./loop.ts";
import { close, received, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const most = 1_000;
const bytes = 100;
const pairs = 3;
const channel = "bench.slow";

export const slowReader: Workload = {
  name: "slow-reader",
  says: `fan-out to ${most} connections, without and with one more that reads nothing, ${pairs} pairs in turn; then that one reads what it missed`,
  needs: [],
  limits: [],
  async run(stage) {
    const connections = stage.size(most);
    const all = await seats(stage, connections, () => ({ channel, from: "latest" }));
    const publisher = await stage.running.client.publisher({
      name: "publisher",
      channel: () => channel,
      bytes,
      inFlight: 0,
    });
    const { subscriber: last } = all.at(-1) as Seat;
    const loop = new Loop(publisher, firstInFlight(connections));
    last.onProgress = (_, count) => loop.arrived(count);
    await loop.findBest();
    const found: { without: number; beside: number }[] = [];
    let figures = await stretch(stage, all, 0);
    let slow: Seat | undefined;
    for (let pair = 0; pair < pairs; pair++) {
      slow?.subscriber.close();
      const without = await stretch(stage, all, 0.3);
      slow = await newSlow(stage);
      figures = await stretch(stage, all, 0.3);
      found.push({ without: without.perSecond, beside: figures.perSecond });
    }
    loop.stop();
    await settle(stage, publisher, all, publisher.sent * connections);
    const got = await readAll(slow as Seat, publisher);
    close([...all, slow as Seat], publisher);
    const costs = found.map(({ without, beside }) => 100 * (1 - beside / without)).sort((a, b) => a - b);
    return {
      "deliveries/s": { value: figures.perSecond, unit: "deliveries/s" },
      ...figures.load,
      "cost to the others": { value: median(costs), unit: "%" },
      "slow reader got": { value: got, unit: "%" },
    };
  },
};

function stretch({ running }: Stage, all: readonly Seat[], warmUpS: number): ReturnType<typeof measured> {
  return measured(running.pids, () => received(all), [warmUpS, 1]);
}

async function newSlow(stage: Stage): Promise<Seat> {
  const sequence = new Sequence({ late: true });
  const [slow] = (await seats(stage, 1, () => ({ channel, from: "latest", sequence }))) as [Seat];
  slow.subscriber.pause();
  return slow;
}

/** How much of what came after its first message it was given in the end, in per cent. */
async function readAll({ subscriber, sequence }: Seat, { sent }: Publisher): Promise<number> {
  const before = sequence.received;
  let [first, last] = [0, 0];
  subscriber.onProgress = (from, count) => {
    first ||= from;
    last = from + count - 1;
  };
  subscriber.resume();
  await until(() => last >= sent || subscriber.fault !== undefined, "the slow reader", 10).catch(() => {});
  const complete = subscriber.fault === undefined && sequence.fault === undefined;
  return complete && last >= sent ? 100 : (100 * (sequence.received - before)) / Math.max(1, sent - first + 1);
}
