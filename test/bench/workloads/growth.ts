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
const [rounds, roundsOfFew] = [3, 5] as const;
const [few, some, many] = [10, 1_000, 10_000] as const;
/** What is stored in the log where connections are compared, and where with `some` connections it is compared with less and more. */
const stored = { least: 1_000, usual: 1_000_000, most: 10_000_000 } as const;
/** Systems that store less in this time are asked for what they have stored. */
const fillSeconds = { usual: 15, most: 240 } as const;

export const growth: Workload = {
  name: "growth",
  says: `CPU of a delivery of ${bytes} bytes, ${deliveriesPerSecond} a second, to ${few}, ${some} and ${many} connections with ${stored.usual} messages stored or as many as were in ${fillSeconds.usual} s, and to ${some} with ${stored.least} (and ${stored.most}, if it is full); without what publishing to nobody and connections that are sent nothing cost; × is of what it costs to ${some} with ${stored.usual} stored`,
  needs: ["acknowledges", "replays"],
  limits: [],
  async run(stage) {
    const toSome = await Audience.open(stage, some);
    // A program that is compiled as it runs is not yet as cheap as it becomes.
    await toSome.costOfDelivery();
    await fill(stage, "bench.growth-least", bytes, stage.size(stored.least), fillSeconds.usual);
    const least = await toSome.costOfDelivery();
    await fill(stage, "bench.growth-usual", bytes, stage.size(stored.usual), fillSeconds.usual);
    const usual = await toSome.costOfDelivery();
    const toFew = await costOfDelivery(stage, few);
    const toMany = await costOfDelivery(stage, many);
    const compared = (where: string, cost: number): Result => ({
      [`CPU s/million, ${where}`]: { value: cost, unit: "s" },
      [`×, ${where}`]: { value: cost / usual, unit: "×" },
    });
    let result: Result = {
      [`CPU s/million, ${some} connections`]: { value: usual, unit: "s" },
      ...compared(`${few} connections`, toFew),
      ...compared(`${many} connections`, toMany),
      ...compared(`${stored.least} stored`, least),
    };
    if (stage.full) {
      await fill(stage, "bench.growth-most", bytes, stage.size(stored.most), fillSeconds.most);
      result = { ...result, ...compared(`${stored.most} stored`, await toSome.costOfDelivery()) };
    }
    toSome.close();
    return result;
  },
};

async function costOfDelivery(stage: Stage, most: number): Promise<number> {
  const audience = await Audience.open(stage, most);
  const cost = await audience.costOfDelivery();
  audience.close();
  return cost;
}

/** So many connections, one who publishes to them, and one who publishes to nobody. */
class Audience {
  readonly #stage: Stage;
  readonly #all: readonly Seat[];
  readonly #heard: Publisher;
  readonly #unheard: Publisher;

  private constructor(stage: Stage, all: readonly Seat[], heard: Publisher, unheard: Publisher) {
    this.#stage = stage;
    this.#all = all;
    this.#heard = heard;
    this.#unheard = unheard;
  }

  static async open(stage: Stage, most: number): Promise<Audience> {
    const [toAll, toNobody] = [`bench.growth-to-${most}`, `bench.growth-beside-${most}`];
    const all = await seats(stage, stage.size(most), () => ({ channel: toAll, from: "latest" }));
    const publisher = (name: string) =>
      stage.running.client.publisher({ name, channel: () => name, bytes, inFlight: 0 });
    return new Audience(stage, all, await publisher(toAll), await publisher(toNobody));
  }

  /** In CPU seconds per million. */
  async costOfDelivery(): Promise<number> {
    const connections = this.#all.length;
    await seconds(0.5);
    const costs: number[] = [];
    for (let round = 0; round < (connections <= few ? roundsOfFew : rounds); round++) {
      const before = this.#heard.sent;
      const withoutThem = await cpuOf(this.#stage, () => publish(this.#stage, this.#unheard, connections, []));
      const withThem = await cpuOf(this.#stage, () => publish(this.#stage, this.#heard, connections, this.#all));
      costs.push(((withThem - withoutThem) / ((this.#heard.sent - before) * connections)) * 1e6);
    }
    return median(costs.sort((a, b) => a - b));
  }

  close(): void {
    close(this.#all, this.#heard, this.#unheard);
  }
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
