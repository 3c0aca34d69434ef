/** The clients of a simulation: roles, each played by one process after the other, or by two at once. */
import type { DogearError, LeasedMessage, Message, Subscription } from "@dogear/client";
import type { Channel, GroupPolicy, Pattern } from "@dogear/shared";
import { Annex } from "../../client/src/annex.ts";
import { type ConnectOptions, Dogear } from "../../client/src/client.ts";
import type { PageListener } from "../../client/src/connection/page.ts";
import type { Runtime } from "../../client/src/runtime.ts";
import { Machine } from "./machine.ts";
import { contentOf, type Data } from "./recorder.ts";
import type { World } from "./world.ts";

/** What runs in one process. */
type Play = (process: Process) => void;

/** One life of a role. */
export class Process {
  readonly machine: Machine;
  readonly world: World;
  readonly dogear: Dogear;
  /** What it has asked for and was not told yet. */
  unanswered = 0;
  /**
   * Whether another one plays its role as well; or has, and was killed: its last words may still be under way, and nobody can
   * tell them from those of one that lives.
   */
  hasRival = false;
  readonly #pages = new Set<PageListener>();

  constructor(name: string, world: World, options: ConnectOptions) {
    this.world = world;
    this.machine = new Machine(name, world.timeline);
    this.dogear = new Dogear("ws://hub", options, this.#runtime(), () => Promise.resolve({ Annex }));
    this.dogear.addEventListener("error", ({ detail: { error } }) => {
      const { code, retry } = error as DogearError;
      if (retry !== "reconnect" && code !== "token-failed") world.complain(`${name} met ${String(error)}`);
    });
  }

  /** Its page is shown again, or its machine wakes. */
  wake(): void {
    this.machine.thaw();
    this.machine.after(0, () => {
      for (const page of this.#pages) page.woke();
    });
  }

  /** Its page is hidden, its machine sleeps, or somebody stopped it: nothing runs until it wakes. */
  freeze(): void {
    for (const page of this.#pages) page.leaving();
    this.machine.freeze();
  }

  #runtime(): Runtime {
    const { machine, world } = this;
    return {
      now: () => machine.now(),
      setTimer: (ms, run) => machine.after(ms, run),
      random: () => world.timeline.random(),
      newId: () => world.timeline.id("producer"),
      connect: (_, __, listener) => world.network.connect(machine, world.site.find, listener),
      watchPage: (page) => {
        this.#pages.add(page);
        return { hidden: false, stop: () => void this.#pages.delete(page) };
      },
    };
  }
}

export class Role {
  readonly name: string;
  readonly #world: World;
  readonly #options: ConnectOptions;
  readonly #play: Play;
  #lives = 0;
  readonly #processes: Process[] = [];

  constructor(name: string, world: World, options: ConnectOptions, play: Play) {
    this.name = name;
    this.#world = world;
    this.#options = options;
    this.#play = play;
  }

  get processes(): readonly Process[] {
    return this.#processes.filter(({ machine }) => machine.alive);
  }

  /** Begins another life, whether or not one is still there. */
  start(): void {
    const token = this.#world.tokens?.fetch;
    const options = { backoff: { baseMs: 50, capMs: 1_000 }, ...this.#options, ...(token && { token }) };
    const process = new Process(`${this.name}#${++this.#lives}`, this.#world, options);
    process.hasRival = this.#processes.length > 0;
    for (const other of this.processes) other.hasRival = true;
    this.#processes.push(process);
    this.#play(process);
  }

  crash(): void {
    for (const { machine } of this.processes) machine.die();
  }
}

const channels = ["orders.eu", "orders.us", "sensors.hall.t", "metrics.cpu", "metrics.disk", "jobs.a", "jobs.b"];

/** Publishes, some of it later, and takes some of that back. */
export function publish(process: Process): void {
  const { machine, world, dogear } = process;
  const { timeline } = world;
  const inFlightMax = 1 + timeline.below(8);
  const restMs = timeline.between(20, 400);
  let count = 0;
  const run = async (): Promise<void> => {
    while (world.loading) {
      await machine.sleep(timeline.random() * restMs);
      if (process.unanswered < inFlightMax && world.loading) void one(`${machine.name}/${++count}`);
    }
  };
  const one = async (draft: string): Promise<void> => {
    const channel = timeline.pick(channels) as Channel;
    const data: Data = {
      draft,
      padding: "x".repeat(timeline.chance(0.05) ? timeline.below(3_000) : timeline.below(100)),
    };
    const key = timeline.chance(0.6) ? `k${timeline.below(3)}` : undefined;
    const delayMs = world.schedules && timeline.chance(0.1) ? timeline.below(4_000) : undefined;
    const op = delayMs === undefined ? "publish" : "schedule";
    process.unanswered++;
    world.recorder.tell(machine, { op, kind: "invoke", ...contentOf(channel, data, key) });
    try {
      const options = { ...(key !== undefined && { key }) };
      if (delayMs === undefined) {
        const { epoch, offset, durability } = await dogear.publish(channel, data, options);
        world.recorder.tell(machine, { op: "publish", kind: "ok", draft, epoch, offset, durability });
      } else {
        const { id } = await dogear.publish(channel, data, { ...options, delayMs });
        world.recorder.tell(machine, { op: "schedule", kind: "ok", draft });
        if (timeline.chance(0.2)) await cancel(draft, id);
      }
    } catch (error) {
      const code = codeOf(error);
      // There is no room for it: little is kept in `metrics`.
      const isRefused = code === "too-many-scheduled";
      world.recorder.tell(machine, { op, kind: isRefused ? "fail" : "info", draft, error: code });
      // Retention has taken the message that could tell.
      const isForgotten = code === "outcome-unknown" && channel.startsWith("metrics.");
      if (machine.alive && !isRefused && !isForgotten)
        world.complain(`${draft} to ${channel} was refused with ${code}`);
    } finally {
      process.unanswered--;
    }
  };
  const cancel = async (draft: string, id: string): Promise<void> => {
    // From now on it may be taken back, also where nobody hears of it.
    world.recorder.tell(machine, { op: "schedule", kind: "info", draft, error: "is to be cancelled" });
    try {
      await dogear.cancel(id);
      world.recorder.tell(machine, { op: "schedule", kind: "fail", draft, error: "cancelled" });
    } catch (error) {
      // It was due by then, or an earlier try has cancelled it.
      world.recorder.tell(machine, { op: "schedule", kind: "info", draft, error: codeOf(error) });
      const passing = ["not-scheduled", "disk-full", "unavailable"];
      if (machine.alive && !passing.includes(codeOf(error)))
        world.complain(`the schedule of ${draft} met ${codeOf(error)}`);
    }
  };
  void run();
}

/** Subscribes to patterns, durably where it has a name, and now and then begins one of them anew. */
export function subscribe(patterns: readonly string[], subscriber: string | undefined): Play {
  return (process) => {
    for (const pattern of patterns) void keepSubscribed(process, pattern as Pattern, subscriber);
  };
}

async function keepSubscribed(process: Process, pattern: Pattern, subscriber: string | undefined): Promise<void> {
  const { machine, world } = process;
  const { timeline } = world;
  for (let count = 1; ; count++) {
    const ending = new AbortController();
    const subscription = `${pattern} ${count}`;
    const ended = subscribeOnce(process, { pattern, subscriber, subscription, signal: ending.signal });
    const anew = async (): Promise<boolean> => {
      await machine.sleep(timeline.between(2_000, 20_000));
      return world.loading;
    };
    const isToEnd = world.resubscribes && (await Promise.race([anew(), ended.then(() => false)]));
    if (isToEnd) ending.abort();
    const error = await ended;
    world.recorder.tell(machine, { op: "subscribe", kind: "fail", subscription, error });
    if (!isToEnd) {
      if (error !== "taken-over" || !process.hasRival) world.complain(`${machine.name} lost ${pattern}: ${error}`);
      return;
    }
    await machine.sleep(timeline.random() * 500);
  }
}

interface Subscribing {
  readonly pattern: Pattern;
  readonly subscriber: string | undefined;
  readonly subscription: string;
  readonly signal: AbortSignal;
}

/** Resolves with what ended it. */
async function subscribeOnce(
  process: Process,
  { pattern, subscriber, subscription, signal }: Subscribing,
): Promise<string> {
  const { machine, world, dogear } = process;
  const { timeline, recorder } = world;
  const tell: typeof recorder.tell = (machine, happened) => {
    if (!signal.aborted) recorder.tell(machine, happened);
  };
  const fromEarliest = subscriber !== "some";
  const slowMs = timeline.chance(0.2) ? 300 : 20;
  tell(machine, { op: "subscribe", kind: "invoke", subscription, pattern, subscriber, fromEarliest });
  const handler = async (message: Message): Promise<void> => {
    const { epoch, offset, channel, key } = message;
    const place = { subscription, epoch, offset };
    tell(machine, { op: "deliver", kind: "invoke", ...place, ...contentOf(channel, message.data as Data, key) });
    if (timeline.chance(0.7)) await machine.sleep(timeline.random() * slowMs);
    recorder.tell(machine, { op: "deliver", kind: "ok", ...place });
  };
  const open: Subscription = dogear.subscribe(
    pattern,
    {
      cursor: subscriber !== undefined,
      from: fromEarliest ? "earliest" : "latest",
      onGap: "continue",
      window: { messages: 2 + timeline.below(30), bytes: 1_024 + timeline.below(8_192) },
      signal,
    },
    handler,
  );
  open.addEventListener("subscribed", ({ detail: { position } }) =>
    tell(machine, { op: "subscribe", kind: "ok", subscription, ...position }),
  );
  open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
    tell(machine, { op: "gap", kind: "info", subscription, from, to, reason, ...position }),
  );
  return open.ended.then(() => "unsubscribed", codeOf);
}

export const group = "crew";
export const groupPattern = "jobs.>" as Pattern;

/** Works in the group, and settles each message one way or another. */
export function work(policy: Partial<GroupPolicy>): Play {
  return (process) => {
    const { machine, world, dogear } = process;
    const { timeline, recorder } = world;
    const window = 1 + timeline.below(8);
    const slowMs = timeline.chance(0.2) ? 3_000 : 100;
    const handle = async (message: LeasedMessage): Promise<void> => {
      const { epoch, offset, deliveries } = message;
      if (timeline.chance(0.7)) await machine.sleep(timeline.random() * slowMs);
      const outcome = anyOutcome(timeline.random());
      const settle = { op: "settle", group, epoch, offset, deliveries, outcome } as const;
      recorder.tell(machine, { ...settle, kind: "invoke" });
      try {
        await message[outcome]();
        recorder.tell(machine, { ...settle, kind: "ok" });
      } catch {
        // It was lost by then, or nobody can know.
        recorder.tell(machine, { ...settle, kind: "info" });
      }
    };
    const run = async (): Promise<void> => {
      for await (const message of dogear.work(groupPattern, { group, window, ...policy })) {
        const { epoch, offset, deliveries, failures } = message;
        recorder.tell(machine, { op: "lease", kind: "invoke", group, epoch, offset, deliveries, failures });
        void handle(message);
      }
    };
    run().catch((error: unknown) => machine.alive && world.complain(`${machine.name} left: ${String(error)}`));
  };
}

function anyOutcome(chance: number): "ack" | "retry" | "reject" | "release" {
  return chance < 0.8 ? "ack" : chance < 0.9 ? "retry" : chance < 0.94 ? "reject" : "release";
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: string }).code ?? error);
}
