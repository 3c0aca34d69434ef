/** Ten thousand clients lose their connections together, and come back together for what they missed. */
import type { Result } from "../figures.ts";
import { Distribution, holdsWithin, Load, Schedule, seconds } from "../measure.ts";
import type { Publisher } from "../system.ts";
import { close, received, type Seat, type Stage, seats, settle, verify, type Workload } from "./workload.ts";

const most = 10_000;
const missedEach = [0, 100, 1_000] as const;
const bytes = 100;
const live = { connections: 50, perSecond: 100 } as const;
/** Who takes longer to take what is to be missed, or to catch up, has no more figures than how far it came. */
const limitS = 60;

export const resumeStorm: Workload = {
  name: "resume-storm",
  says: `${most} clients killed together, back together, each missed 0, 100, 1,000 messages of ${bytes} bytes; meanwhile ${live.perSecond} live messages a second to ${live.connections} others; p50 and p99 are theirs, with 100 missed unless another number is named; who has not caught up in ${limitS} s is missing no more`,
  needs: ["acknowledges", "channels", "resumes"],
  limits: [],
  async run(stage) {
    const { client } = stage.running;
    const clients = stage.size(most);
    const others = await seats(stage, stage.size(live.connections), () => ({ channel: "bench.live", from: "latest" }));
    let storm = await seats(stage, clients, () => ({ channel: "bench.storm", from: "latest" }));
    const names = { live: () => "bench.live", storm: () => "bench.storm" };
    const publishers = {
      live: await client.publisher({ name: "live", channel: names.live, bytes, inFlight: 0 }),
      storm: await client.publisher({ name: "storm", channel: names.storm, bytes, inFlight: 0 }),
    };
    // Somebody must have been somewhere, for a place to come back to.
    publishers.storm.sendMore(1);
    await settle(stage, publishers.storm, storm, clients, 60);
    let result: Result = {};
    for (const missed of missedEach) {
      const one = await blow(stage, storm, others, publishers, missed);
      result = { ...result, ...one.result };
      storm = one.storm ?? [];
      if (one.storm === undefined) break;
    }
    close([...storm, ...others], publishers.live, publishers.storm);
    return result;
  },
};

/** What was found, and who is there afterwards: nobody, where it took too long. */
interface Blow {
  readonly result: Result;
  readonly storm?: Seat[];
}

async function blow(
  stage: Stage,
  before: readonly Seat[],
  others: readonly Seat[],
  publishers: { readonly live: Publisher; readonly storm: Publisher },
  missed: number,
): Promise<Blow> {
  const clients = before.length;
  const half = missed === 100;
  const suffix = half ? "" : `, ${missed} missed`;
  const late = (what: string, share: number): Blow => ({
    result: { [`% ${what} in ${limitS} s${suffix}`]: { value: 100 * share, unit: "%" } },
  });
  const places = before.map(({ subscriber }) => subscriber.place?.());
  close(before);
  await seconds(0.5);
  const waiting = () => publishers.storm.sent - publishers.storm.acknowledged;
  publishers.storm.sendMore(missed);
  if (!(await holdsWithin(limitS, () => waiting() === 0))) return late("taken", 1 - waiting() / missed);
  const times = new Distribution();
  const schedule = new Schedule(live.perSecond, limitS, publishers.live.sent);
  for (const { subscriber } of others) {
    subscriber.onProgress = (first, count) => {
      for (let number = first; number < first + count; number++) times.add(schedule.since(number));
    };
  }
  const ended = new AbortController();
  const traffic = schedule.run((count) => publishers.live.sendMore(count), ended.signal);
  const load = new Load(stage.running.pids);
  const due = publishers.storm.sent * clients;
  const back = new ComingBack(stage, before, places);
  const inTime = await holdsWithin(limitS, () => back.areAllConnected() && received(before) >= due);
  const caughtUpS = back.elapsedS;
  const beside = load.end(missed * clients || clients);
  ended.abort();
  await traffic;
  verify(before, [publishers.storm]);
  if (!inTime) return late("caught up", 1 - (due - received(before)) / (missed * clients || clients));
  await settle(stage, publishers.live, others, publishers.live.sent * others.length);
  const storm = await back.seats;
  verify(storm, [publishers.storm]);
  return {
    storm,
    result: {
      [`s to all caught up${suffix}`]: { value: caughtUpS, unit: "s" },
      [`s to all connected${suffix}`]: { value: back.connectedS, unit: "s" },
      [`p50 ms${suffix}`]: { value: times.at(0.5), unit: "ms" },
      [`p99 ms${suffix}`]: { value: times.at(0.99), unit: "ms" },
      ...(missed > 0 && {
        [`deliveries/s${suffix}`]: { value: (missed * clients) / caughtUpS, unit: "deliveries/s" },
      }),
      ...(half && beside),
    },
  };
}

/** All connect again, each with the place and the sequence of the one it goes on for. */
class ComingBack {
  readonly seats: Promise<Seat[]>;
  connectedS = Number.NaN;
  #failure: unknown;
  readonly #start = performance.now();

  constructor(stage: Stage, before: readonly Seat[], places: readonly unknown[]) {
    this.seats = seats(stage, before.length, (i) => ({
      channel: "bench.storm",
      from: { place: places[i] },
      sequence: (before[i] as Seat).sequence,
    }));
    this.seats.then(
      () => {
        this.connectedS = this.elapsedS;
      },
      (error) => {
        this.#failure = error;
      },
    );
  }

  get elapsedS(): number {
    return (performance.now() - this.#start) / 1_000;
  }

  /** Throws if one cannot connect. */
  areAllConnected(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.connectedS >= 0;
  }
}
