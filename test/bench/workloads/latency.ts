/**
 * How long a message takes, at a quarter, half and three quarters of what the same system took in the same run when it
 * was given as much as it could take. Times count from when a message was to be sent.
 */
import type { Result } from "../figures.ts";
import { Distribution, Load, measured, Schedule } from "../measure.ts";
import { Loop } from "./loop.ts";
import { close, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 256;
const peakInFlight = 256;
const loads = [25, 50, 75] as const;

export const latency: Workload = {
  name: "latency",
  says: `${bytes} bytes to one subscription, at 25, 50 and 75 % of what the system takes with ${peakInFlight} in flight; p50 and p99 at half load unless another is named`,
  needs: [],
  limits: ["durable commit p50 ms", "durable commit p99 ms"],
  async run(stage) {
    const perSecond = await peak(stage);
    let result: Result = { "peak messages/s": { value: perSecond, unit: "messages/s" } };
    for (const percent of loads) result = { ...result, ...(await at(stage, percent, perSecond)) };
    return result;
  },
};

async function peak(stage: Stage): Promise<number> {
  const { client, pids } = stage.running;
  const all = await seats(stage, 1, () => ({ channel: "bench.peak", from: "latest" }));
  const confirms = stage.system.can.includes("acknowledges");
  const options = { name: "peak", channel: () => "bench.peak", bytes };
  const publisher = await client.publisher({ ...options, inFlight: confirms ? peakInFlight : 0 });
  const [{ subscriber, sequence }] = all as [Seat];
  const loop = confirms ? undefined : new Loop(publisher, peakInFlight);
  subscriber.onProgress = (_, count) => loop?.arrived(count);
  const { perSecond } = await measured(pids, () => sequence.received, [0.5, 1]);
  loop?.stop();
  publisher.stop();
  await settle(stage, publisher, all, publisher.sent);
  close(all, publisher);
  return perSecond;
}

async function at(stage: Stage, percent: (typeof loads)[number], peak: number): Promise<Result> {
  const { client, pids } = stage.running;
  const channel = `bench.latency-${percent}`;
  const all = await seats(stage, 1, () => ({ channel, from: "latest" }));
  const publisher = await client.publisher({ name: `at-${percent}`, channel: () => channel, bytes, inFlight: 0 });
  const schedule = new Schedule((peak * percent) / 100, 1.7);
  const [acknowledged, delivered] = [new Distribution(), new Distribution()];
  (all[0] as Seat).subscriber.onProgress = (first, count) => {
    for (let number = first; number < first + count; number++) delivered.add(schedule.since(number));
  };
  let confirmed = 0;
  publisher.onAcknowledged = () => {
    while (confirmed < publisher.acknowledged) acknowledged.add(schedule.since(++confirmed));
  };
  const load = new Load(pids);
  await schedule.run((count) => publisher.sendMore(count));
  await settle(stage, publisher, all, publisher.sent);
  const beside = load.end(publisher.sent);
  close(all, publisher);
  return named(percent, acknowledged, delivered, beside);
}

function named(percent: number, acknowledged: Distribution, delivered: Distribution, beside: Result): Result {
  const half = percent === 50;
  const load = half ? "" : ` at ${percent} %`;
  const comma = half ? "" : `, at ${percent} %`;
  const ms = (distribution: Distribution, share: number) => ({ value: distribution.at(share), unit: "ms" });
  return {
    ...(acknowledged.count > 0 && {
      [`p50 ms${comma}`]: { ...ms(acknowledged, 0.5), of: "durable commit p50 ms" },
      [`p99 ms${comma}`]: { ...ms(acknowledged, 0.99), of: "durable commit p99 ms" },
    }),
    [`p50 ms, delivered${load}`]: ms(delivered, 0.5),
    [`p99 ms, delivered${load}`]: ms(delivered, 0.99),
    ...(half && beside),
  };
}
