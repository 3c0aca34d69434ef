/** Many channels and many patterns: what finding the right subscribers costs. */
import type { Result } from "../figures.ts";
import { measured } from "../measure.ts";
import { Sequence } from "../sequence.ts";
import { Loop } from "./loop.ts";
import { close, received, type Seat, type Stage, seats, settle, type Workload } from "./workload.ts";

const bytes = 100;
const inFlight = 1_024;

/** Publishes over all channels in turn, with a number of messages not yet delivered to all that they are for. */
async function run(
  stage: Stage,
  all: readonly Seat[],
  channel: (number: number) => string,
  copies: number,
): Promise<Result> {
  const { client, pids } = stage.running;
  const publisher = await client.publisher({ name: "publisher", channel, bytes, inFlight: 0 });
  const loop = new Loop(publisher, inFlight);
  let [delivered, replaced] = [0, 0];
  const onProgress = (_: number, count: number) => {
    delivered += count;
    const done = Math.floor(delivered / copies) - replaced;
    if (done === 0) return;
    replaced += done;
    loop.arrived(done);
  };
  for (const { subscriber } of all) subscriber.onProgress = onProgress;
  const { perSecond, load } = await measured(pids, () => received(all), [1, 3]);
  loop.stop();
  await settle(stage, publisher, all, publisher.sent * copies);
  close(all, publisher);
  return { "deliveries/s": { value: perSecond, unit: "deliveries/s" }, ...load };
}

const many = { channels: 1_000, subscribers: 10 } as const;

export const manyToMany: Workload = {
  name: "many-to-many",
  says: `1,000 channels of 10 subscribers each, on 1,000 connections that subscribe to 10 channels each, ${bytes} bytes, ${inFlight} in flight`,
  needs: ["channels"],
  limits: [],
  async run(stage) {
    const channels = stage.size(many.channels);
    // In a small run there are fewer channels than that, and nobody subscribes to one twice.
    const subscribers = Math.min(many.subscribers, channels);
    const name = (number: number) => `bench.many.${number % channels}`;
    const all = await seats(stage, channels, (i) => ({
      channel: Array.from({ length: subscribers }, (_, nth) => name(i + nth)),
      from: "latest",
      sequence: new Sequence({ channels }),
    }));
    return run(stage, all, name, subscribers);
  },
};

const people = 10_000;

export const personal: Workload = {
  name: "personal",
  says: `10,000 connections, each subscribed to a channel of its own, ${bytes} bytes, ${inFlight} in flight`,
  needs: ["channels"],
  limits: [],
  async run(stage) {
    const channels = stage.size(people);
    const name = (number: number) => `bench.personal.${number % channels}`;
    const all = await seats(stage, channels, (i) => ({
      channel: name(i),
      from: "latest",
      sequence: new Sequence({ channels }),
    }));
    return run(stage, all, name, 1);
  },
};

const patterns = 100_000;
const perConnection = 1_000;

export const wildcards: Workload = {
  name: "wildcards",
  says: `100,000 patterns, a wildcard in each, 1,000 to a connection; each message matches one; ${bytes} bytes, ${inFlight} in flight`,
  needs: ["channels", "wildcards"],
  limits: [],
  async run(stage) {
    const channels = stage.size(patterns);
    const pattern = (k: number) => (k % 2 === 0 ? `bench.wild.${k}.*` : `bench.*.of.${k}.>`);
    const channel = (number: number) => {
      const k = number % channels;
      return k % 2 === 0 ? `bench.wild.${k}.value` : `bench.values.of.${k}.value`;
    };
    const connections = patterns / perConnection;
    const each = channels / connections;
    const all = await seats(stage, connections, (i) => ({
      channel: Array.from({ length: each }, (_, nth) => pattern(i + nth * connections)),
      from: "latest",
      sequence: new Sequence({ channels }),
    }));
    return run(stage, all, channel, 1);
  },
};
