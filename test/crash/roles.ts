/**
 * What the clients of a crash test do: each notes what it is about to do before it does it, and what it saw before it
 * acts on it. They play in a process of their own, or, where only the hub is to die, in the test's.
 */
import { setTimeout as after, setImmediate as turn } from "node:timers/promises";
import type {
  Dogear,
  DogearError,
  LeasedMessage,
  Message,
  PublishOptions,
  ScheduleOptions,
  Subscription,
  Worker,
} from "@dogear/client";
import type { Pattern } from "@dogear/shared";
import type { Happened } from "../checker/history.ts";
import { anyDrafts, content, contentOf, crew, type LoadDraft, type PublisherTask } from "./load.ts";

/** Where a client notes what it does and sees. */
export interface Notes {
  write(happened: Happened): void;
}

/** Refused for what they are, or before they were sent; after any other error nobody knows. */
const definite = ["message-too-large", "payload-too-deep", "invalid-payload", "invalid-channel", "queue-full"];

/** Publishes any drafts, so many at a time, until it is told to stop, and then until all are answered. */
export async function publishUntil(
  stopping: () => boolean,
  { dogear, notes, random }: { dogear: Dogear; notes: Notes; random: () => number },
  task: Pick<PublisherTask, "process" | "inFlight" | "restMsMax" | "delayMsMax">,
): Promise<void> {
  const drafts = anyDrafts(task, random);
  const publishOneByOne = async () => {
    while (!stopping()) {
      await publish(dogear, notes, drafts.next().value);
      if (task.restMsMax !== undefined) await after(random() * task.restMsMax);
    }
  };
  await Promise.all(Array.from({ length: task.inFlight }, publishOneByOne));
}

/** Publishes or schedules one draft; resolves also where it is one that the hub can never take. */
export async function publish(dogear: Dogear, notes: Notes, next: LoadDraft): Promise<void> {
  const { draft, ...content } = contentOf(next);
  const op = next.options.delayMs === undefined ? "publish" : "schedule";
  notes.write({ op, kind: "invoke", draft, ...content });
  try {
    await (op === "publish" ? publishNow(dogear, notes, next) : schedule(dogear, notes, next));
  } catch (error) {
    const { code } = error as DogearError;
    const kind = definite.includes(code) ? "fail" : "info";
    notes.write({ op, kind, draft, error: code });
    // Only what the hub can never take is refused to a publisher that is patient.
    if (kind === "info" || !next.isTooLong) throw error;
  }
}

async function publishNow(dogear: Dogear, notes: Notes, draft: LoadDraft): Promise<void> {
  const { channel, data, options } = draft;
  const { epoch, offset, durability } = await dogear.publish(channel, data, options as PublishOptions);
  notes.write({ op: "publish", kind: "ok", draft: contentOf(draft).draft, epoch, offset, durability });
}

async function schedule(dogear: Dogear, notes: Notes, draft: LoadDraft): Promise<void> {
  await dogear.publish(draft.channel, draft.data, draft.options as ScheduleOptions);
  notes.write({ op: "schedule", kind: "ok", draft: contentOf(draft).draft });
}

/** Small, so that it is often full and often acknowledged. */
const window = { messages: 64 };

/** Subscribes from the earliest message on, or where its cursor is, and handles each message in its own time. */
export function subscribe(
  dogear: Dogear,
  notes: Notes,
  { pattern, subscriber, ended }: { pattern: Pattern; subscriber: string | undefined; ended: () => void },
): Subscription {
  const subscription = pattern;
  notes.write({ op: "subscribe", kind: "invoke", subscription, pattern, subscriber, fromEarliest: true });
  const options = { cursor: subscriber !== undefined, from: "earliest", onGap: "continue", window } as const;
  const open = dogear.subscribe(pattern, options, async (message: Message) => {
    const { epoch, offset } = message;
    notes.write({ op: "deliver", kind: "invoke", subscription, epoch, offset, ...content(message) });
    // Now and then so long that it falls behind.
    await (offset % 128 === 0 ? after(50) : turn());
    notes.write({ op: "deliver", kind: "ok", subscription, epoch, offset });
    if (message.headers?.end) ended();
  });
  open.addEventListener("subscribed", ({ detail: { position } }) =>
    notes.write({ op: "subscribe", kind: "ok", subscription, ...position }),
  );
  // There should be none; the checker knows what it hides.
  open.addEventListener("gap", ({ detail: { from, to, reason, position } }) =>
    notes.write({ op: "gap", kind: "info", subscription, from, to, reason, ...position }),
  );
  return open;
}

/** Works in the group and settles each message in one way or another. */
export function work(dogear: Dogear, notes: Notes, random: () => number): { worker: Worker; done: Promise<void> } {
  const worker = dogear.work(crew.pattern, { window: 16, ...crew.options });
  const takeAll = async () => {
    for await (const message of worker) {
      const { epoch, offset, deliveries, failures } = message;
      notes.write({ op: "lease", kind: "invoke", group: crew.options.group, epoch, offset, deliveries, failures });
      void settle(message, notes, random);
    }
  };
  return { worker, done: takeAll() };
}

async function settle(message: LeasedMessage, notes: Notes, random: () => number): Promise<void> {
  const { epoch, offset, deliveries } = message;
  await turn();
  const outcome = anyOutcome(random());
  const settle = { op: "settle", group: crew.options.group, epoch, offset, deliveries, outcome } as const;
  notes.write({ ...settle, kind: "invoke" });
  try {
    await message[outcome]();
    notes.write({ ...settle, kind: "ok" });
  } catch {
    // It ran out, or the hub was killed before it could confirm.
    notes.write({ ...settle, kind: "info" });
  }
}

function anyOutcome(chance: number): "ack" | "retry" | "reject" | "release" {
  return chance < 0.85 ? "ack" : chance < 0.93 ? "retry" : chance < 0.95 ? "reject" : "release";
}
