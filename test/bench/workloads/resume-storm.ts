/** Ten thousand clients lose their connections together, and come back together for what they missed. */
import type { Result } from "../figures.ts";
import { Distribution, Load, Schedule, seconds, until } from "../measure.ts";
import type { Publisher } from "../system.ts";
import { close, received, type Seat, type Stage, seats, settle, verify, type Workload } from "./workload.ts";

const most = 10_000;
const missedEach = [0, 100, 1_000] as const;
const bytes = 100;
const live = { connections: 50, perSecond: 100, seconds: 60 } as const;

export const resumeStorm: Workload = {
  name: "resume-storm",
  says: `${most} clients killed together, back together, each missed 0, 100, 1,000 messages of ${bytes} bytes; meanwhile ${live.perSecond} live messages a second to ${live.connections} others; p50 and p99 are theirs, with 100 missed unless another number is named`,
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
      storm = one.storm;
      result = { ...result, ...one.result };
    }
    close([...storm, ...others], publishers.live, publishers.storm);
    return result;
  },
};

async function blow(
  stage: Stage,
  before: readonly Seat[],
  others: readonly Seat[],
  publishers: { readonly live: Publisher; readonly storm: Publisher },
  missed: number,
): Promise<{ readonly storm: Seat[]; readonly result: Result }> {
  const clients = before.length;
  const places = before.map(({ subscriber }) => subscriber.place?.());
  close(before);
  await seconds(0.5);
  publishers.storm.sendMore(missed);
  await until(() => publishers.storm.acknowledged === publishers.storm.sent, "publishing what they miss");
  const times = new Distribution();
  const schedule = new Schedule(live.perSecond, live.seconds, publishers.live.sent);
  const ended = new AbortController();
  for (const { subscriber } of others) {
    subscriber.onProgress = (first, count) => {
      for (let number = first; number < first + count; number++) times.add(schedule.since(number));
    };
  }
  const traffic = schedule.run((count) => publishers.live.sendMore(count), ended.signal);
  const load = new Load(stage.running.pids);
  const start = performance.now();
  const due = publishers.storm.sent;
  const storm = await seats(stage, clients, (i) => ({
    channel: "bench.storm",
    from: { place: places[i] },
    sequence: (before[i] as Seat).sequence,
  }));
  const connectedS = (performance.now() - start) / 1_000;
  await until(() => received(storm) >= due * clients, "everybody catching up", 120);
  const caughtUpS = (performance.now() - start) / 1_000;
  const beside = load.end(missed * clients || clients);
  ended.abort();
  await traffic;
  await settle(stage, publishers.live, others, publishers.live.sent * others.length);
  verify(storm, [publishers.storm]);
  const half = missed === 100;
  const suffix = half ? "" : `, ${missed} missed`;
  return {
    storm,
    result: {
      [`s to all caught up${suffix}`]: { value: caughtUpS, unit: "s" },
      [`s to all connected${suffix}`]: { value: connectedS, unit: "s" },
      [`p50 ms${suffix}`]: { value: times.at(0.5), unit: "ms" },
      [`p99 ms${suffix}`]: { value: times.at(0.99), unit: "ms" },
      ...(missed > 0 && {
        [`deliveries/s${suffix}`]: { value: (missed * clients) / caughtUpS, unit: "deliveries/s" },
      }),
      ...(half && beside),
    },
  };
}
