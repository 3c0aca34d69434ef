/**
 * What a delivery costs as there are more connections, and more is stored.
 *
 * So many deliveries a second are made by few messages to many connections or by many messages to few. What publishing the
 * same messages to nobody costs is taken away, and what the same connections cost when nothing is sent.
 */
import { median, type Result } from "../figures.ts";
import { cpuSeconds, Schedule, seconds } from "../measure.ts";
import type { Publisher } from "../system.ts";
import { close, fill, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 100;
const deliveriesPerSecond = 20_000;
const measureS = 1;
/** Publishing to somebody and to nobody take turns; to few, most of what it costs is publishing, and differs by chance. */
const [rounds, roundsOfFew] = [3, 7] as const;
const [few, some, many] = [10, 1_000, 10_000] as const;
/** What is stored in the log where connections are compared, and where with `some` connections it is compared with less and more. */
const stored = { least: 1_000, usual: 1_000_000, most: 10_000_000 } as const;
const fillLimitS = 120;

export const growth: Workload = {
  name: "growth",
  says: `CPU of a delivery of ${bytes} bytes, ${deliveriesPerSecond} a second, to ${few}, ${some} and ${many} connections with ${stored.usual} messages stored, and to ${some} with ${stored.least} (and ${stored.most}, if it is full); without what publishing to nobody and connections that are sent nothing cost; × is of what it costs to ${some} with ${stored.usual} stored`,
  needs: ["acknowledges", "replays"],
  limits: [],
  async run(stage) {
    // A program that is compiled as it runs is not yet as cheap as it becomes.
    await costOfDelivery(stage, some, "first");
    await fill(stage, "bench.growth-least", bytes, stage.size(stored.least), fillLimitS);
    const least = await costOfDelivery(stage, some, "least");
    await fill(stage, "bench.growth-usual", bytes, stage.size(stored.usual), fillLimitS);
    const usual = await costOfDelivery(stage, some, "usual");
    const toFew = await costOfDelivery(stage, few, "few");
    const toMany = await costOfDelivery(stage, many, "many");
    const compared = (where: string, cost: number): Result => ({
      [`CPU s/million, ${where}`]: { value: cost, unit: "s" },
      [`×, ${where}`]: { value: cost / usual, unit: "×" },
    });
    const result = {
      [`CPU s/million, ${some} connections`]: { value: usual, unit: "s" },
      ...compared(`${few} connections`, toFew),
      ...compared(`${many} connections`, toMany),
      ...compared(`${stored.least} stored`, least),
    };
    if (!stage.full) return result;
    await fill(stage, "bench.growth-most", bytes, stage.size(stored.most), fillLimitS);
    return { ...result, ...compared(`${stored.most} stored`, await costOfDelivery(stage, some, "most")) };
  },
};

/** In CPU seconds per million. */
async function costOfDelivery(stage: Stage, most: number, name: string): Promise<number> {
  const { client } = stage.running;
  const connections = stage.size(most);
  const [toAll, toNobody] = [`bench.growth-to-${name}`, `bench.growth-beside-${name}`];
  const all = await seats(stage, connections, () => ({ channel: toAll, from: "latest" }));
  const heard = await client.publisher({ name: toAll, channel: () => toAll, bytes, inFlight: 0 });
  const unheard = await client.publisher({ name: toNobody, channel: () => toNobody, bytes, inFlight: 0 });
  await seconds(0.5);
  const costs: number[] = [];
  for (let round = 0; round < (most === few ? roundsOfFew : rounds); round++) {
    const before = heard.sent;
    const withoutThem = await cpuOf(stage, () => publish(stage, unheard, connections, []));
    const withThem = await cpuOf(stage, () => publish(stage, heard, connections, all));
    costs.push(((withThem - withoutThem) / ((heard.sent - before) * connections)) * 1e6);
  }
  close(all, heard, unheard);
  return median(costs.sort((a, b) => a - b));
}

async function publish(stage: Stage, publisher: Publisher, connections: number, all: readonly Seat[]): Promise<void> {
  const schedule = new Schedule(stage.size(deliveriesPerSecond) / connections, measureS, publisher.sent);
  await schedule.run((count) => publisher.sendMore(count));
  await settle(stage, publisher, all, publisher.sent * all.length);
}

async function cpuOf({ running: { pids } }: Stage, work: () => Promise<void>): Promise<number> {
  const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = used();
  await work();
  return used() - before;
}
