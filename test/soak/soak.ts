/**
 * A soak: a hub in a process of its own under everything it is made for, for as long as somebody has patience. Fails where
 * something grows, where something is left when everybody has gone, and where a promise is broken.
 */
import { setTimeout as after } from "node:timers/promises";
import { connect } from "@dogear/client";
import { seeded } from "../support/seeded.ts";
import { Chatter } from "./chatter.ts";
import { Crowd } from "./crowd.ts";
import { growths, leftovers, type NamedGrowth, type SampleAt } from "./judged.ts";
import { Tally } from "./reader.ts";
import { type Leak, type Sample, SampledHub } from "./sampled-hub.ts";
import { Scenes } from "./scenes.ts";

export interface SoakOptions {
  /** The built `hub.ts`, and where it stores. */
  readonly program: string;
  readonly data: string;
  readonly minutes: number;
  readonly connections: number;
  readonly sampleMs: number;
  readonly sceneMs: number;
  readonly seed: number;
  /** How long the hub may take to let go of those who have gone. */
  readonly goneMs: number;
  /** What the hub's process leaks on purpose. */
  readonly leak: Leak | undefined;
  readonly onSample: (sample: SampleAt, progress: Progress) => void;
}

/** What has happened so far. */
export interface Progress {
  readonly published: number;
  readonly delivered: number;
  readonly gaps: number;
  readonly replaced: number;
  readonly scenes: number;
  /** What the checker has held to the promises. */
  readonly checked: Scenes["checked"];
}

export interface SoakReport {
  readonly growths: readonly NamedGrowth[];
  /** What was still there when everybody had gone. */
  readonly left: readonly string[];
  readonly violations: readonly string[];
  readonly progress: Progress;
}

const load = { rooms: 200, churn: 20, perSecond: 450 };

/** Little is kept, and for a short time, so that what is removed and forgotten is as much as what is stored. */
const retention = { ageMs: 180_000, bytes: 8 * 1_024 * 1_024 };
const config = {
  namespaces: { default: { retention }, metrics: { retention }, rooms: { retention } },
  limits: { deduplicationWindowMs: 60_000, producerMemoryMs: 300_000 },
};

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { program, data, leak } = options;
  const hub = await SampledHub.start(program, { data, config, leak });
  try {
    return await soakHub(hub, options);
  } finally {
    await hub.stop();
  }
}

async function soakHub(hub: SampledHub, { seed, ...options }: SoakOptions): Promise<SoakReport> {
  const { url } = hub;
  const [random, tally, samples] = [seeded(seed), new Tally(), [] as SampleAt[]];
  const start = await hub.sample();
  const begun = performance.now();
  let stopping = false;

  const talker = connect(url);
  const chatter = new Chatter(talker, { ...load, random });
  const crowd = await Crowd.gather({ url, connections: options.connections, random, ...load }, tally);
  const scenes = new Scenes({ url, random, sceneMs: options.sceneMs });
  const playing = scenes.run(() => stopping);
  const progress = (): Progress => ({
    published: chatter.acknowledged,
    delivered: tally.messages,
    gaps: tally.gaps,
    replaced: crowd.replaced,
    scenes: scenes.scenes,
    checked: scenes.checked,
  });
  const failed = playing.then(() => new Promise<never>(() => {}));
  while (performance.now() - begun < options.minutes * 60_000) {
    await Promise.race([after(options.sampleMs), failed]);
    if (hub.ended !== undefined) throw new Error(hub.ended);
    const sample = { seconds: (performance.now() - begun) / 1_000, ...(await hub.sample()) };
    samples.push(sample);
    options.onSample(sample, progress());
  }
  stopping = true;
  await playing;
  await chatter.stop();
  const unsettled = await scenes.unsettled();
  await Promise.all([crowd.close(), scenes.close(), talker.close()]);

  const left = await leftWhenGone(hub, start, options.goneMs);
  if (unsettled > 0) left.push(`leases: ${unsettled} where everything was settled`);
  const violations = [...scenes.violations, ...tally.violations, ...chatter.failures];
  return { growths: growths(samples), left, violations, progress: progress() };
}

/** What is left of everybody, once the hub has had the time to notice that they have gone. */
async function leftWhenGone(hub: SampledHub, start: Sample, withinMs: number): Promise<string[]> {
  for (const since = performance.now(); ; await after(500)) {
    const left = leftovers(start, await hub.sample());
    if (left.length === 0 || performance.now() - since > withinMs) return left;
  }
}
