/**
 * How long a message takes, at a quarter, half and three quarters of what the same system took in the same run when it
 * was given as much as it could take, and at a load that every system can bear. Times count from when a message was to be
 * sent.
 */
import type { Result } from "../figures.ts";
import { Distribution, Load, measured, Schedule } from "../measure.ts";
import { Loop } from "./loop.ts";
import { close, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 256;
const peakInFlight = 256;
const percents = [25, 50, 75] as const;
const sameLoad = 5_000;
/** Programs that are compiled as they run are as fast as they become after some seconds, and once more after their load has changed. */
const warmUpS = { peak: 2.5, load: 1.5 } as const;
const measureS = 1.5;

export const latency: Workload = {
  name: "latency",
  says: `${bytes} bytes to one subscription, at ${percents.join(", ")} % of what the system takes with ${peakInFlight} in flight, and at ${sameLoad} a second; p50 and p99 at half load unless another is named`,
  needs: [],
  limits: ["durable commit p50 ms", "durable commit p99 ms"],
  async run(stage) {
    const perSecond = await peak(stage);
    let result: Result = { "peak messages/s": { value: perSecond, unit: "messages/s" } };
    const loads = percents.map((percent) => [`${percent} %`, (perSecond * percent) / 100] as const);
    for (const [name, load] of [...loads, [`${sameLoad}/s`, stage.size(sameLoad)] as const]) {
      result = { ...result, ...(await at(stage, name, load)) };
    }
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
  const { perSecond } = await measured(pids, () => sequence.received, [warmUpS.peak, 1]);
  loop?.stop();
  publisher.stop();
  await settle(stage, publisher, all, publisher.sent);
  close(all, publisher);
  return perSecond;
}

async function at(stage: Stage, name: string, perSecond: number): Promise<Result> {
  const { client, pids } = stage.running;
  const channel = `bench.latency-${name.replace(/\W+/g, "-")}`;
  const all = await seats(stage, 1, () => ({ channel, from: "latest" }));
  const publisher = await client.publisher({ name: `at-${channel}`, channel: () => channel, bytes, inFlight: 0 });
  const send = (count: number) => publisher.sendMore(count);
  await new Schedule(perSecond, warmUpS.load).run(send);
  const before = publisher.sent;
  const schedule = new Schedule(perSecond, measureS, before);
  const [acknowledged, delivered] = [new Distribution(), new Distribution()];
  (all[0] as Seat).subscriber.onProgress = (first, count) => {
    for (let number = Math.max(first, before + 1); number < first + count; number++)
      delivered.add(schedule.since(number));
  };
  let confirmed = before;
  publisher.onAcknowledged = () => {
    while (confirmed < publisher.acknowledged) acknowledged.add(schedule.since(++confirmed));
  };
  const load = new Load(pids);
  await schedule.run(send);
  await settle(stage, publisher, all, publisher.sent);
  const beside = load.end(publisher.sent - before);
  close(all, publisher);
  return named(name, acknowledged, delivered, beside);
}

function named(name: string, acknowledged: Distribution, delivered: Distribution, beside: Result): Result {
  const half = name === "50 %";
  const load = half ? "" : ` at ${name}`;
  const comma = half ? "" : `, at ${name}`;
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
