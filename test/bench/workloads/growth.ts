/**
 * What a delivery costs as there are more connections, and more is stored.
 *
 * So many deliveries a second are made by few messages to many connections or by many messages to few. What publishing the
 * same messages to nobody costs is taken away, and what the same connections cost when nothing is sent.
 */
import type { Result } from "../figures.ts";
import { cpuSeconds, Schedule, seconds } from "../measure.ts";
import type { Publisher } from "../system.ts";
import { close, fill, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 100;
const deliveriesPerSecond = 20_000;
const measureS = 4;
const connectionCounts = [10, 1_000, 10_000] as const;
const storedCounts = [1_000, 1_000_000] as const;
const storedFull = 10_000_000;
const storedConnections = 1_000;
const fillLimitS = 120;

export const growth: Workload = {
  name: "growth",
  says: `CPU of a delivery of ${bytes} bytes, ${deliveriesPerSecond} a second, to ${connectionCounts.join(", ")} connections, and to ${storedConnections} with ${storedCounts.join(" and ")} messages stored (${storedFull} as well, if it is full); without what publishing to nobody and connections that are sent nothing cost`,
  needs: ["acknowledges", "replays"],
  limits: [],
  async run(stage) {
    let result: Result = {};
    const costs: number[] = [];
    // A program that is compiled as it runs is not yet as cheap as it becomes.
    await costOfDelivery(stage, "bench.growth-first", 10);
    for (const most of connectionCounts) {
      const cost = await costOfDelivery(stage, `bench.growth-${most}`, stage.size(most));
      costs.push(cost);
      result = { ...result, [`CPU s/million, ${most} connections`]: { value: cost, unit: "s" } };
    }
    const stored: number[] = [];
    for (const most of stage.full ? [...storedCounts, storedFull] : storedCounts) {
      const count = await fill(stage, `bench.growth-stored-${most}`, bytes, stage.size(most), fillLimitS);
      const cost = await costOfDelivery(stage, `bench.growth-beside-${most}`, stage.size(storedConnections));
      stored.push(cost);
      result = { ...result, [`CPU s/million, ${count} stored`]: { value: cost, unit: "s" } };
    }
    return {
      ...result,
      "most by least, connections": { value: Math.max(...costs) / Math.min(...costs), unit: "×" },
      "most by least, stored": { value: Math.max(...stored) / Math.min(...stored), unit: "×" },
    };
  },
};

/** In CPU seconds per million. */
async function costOfDelivery(stage: Stage, channel: string, connections: number): Promise<number> {
  const { client } = stage.running;
  const nobody = `${channel}-nobody`;
  const toNobody = await client.publisher({ name: nobody, channel: () => nobody, bytes, inFlight: 0 });
  const before = await cpuOf(stage, () => publish(stage, toNobody, connections, []));
  const all = await seats(stage, connections, () => ({ channel, from: "latest" }));
  await seconds(1);
  const idle = await cpuOf(stage, () => seconds(measureS));
  const toAll = await client.publisher({ name: `${channel}-all`, channel: () => channel, bytes, inFlight: 0 });
  const delivering = await cpuOf(stage, () => publish(stage, toAll, connections, all));
  const deliveries = toAll.sent * connections;
  close(all, toAll);
  const after = await cpuOf(stage, () => publish(stage, toNobody, connections, []));
  close([], toNobody);
  return ((delivering - (before + after) / 2 - idle) / deliveries) * 1e6;
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
