/** The checker of groups finds each kind of broken promise, in histories small enough to see it oneself. */
import type { Channel, Epoch, Offset, Pattern } from "@dogear/shared";
import { describe, expect, test } from "vitest";
import { check } from "./checker.ts";
import type { Happened, HistoryEvent } from "./history.ts";

type Outcome = Extract<Happened, { op: "settle" }>["outcome"];

const group = "g";
const epoch = "e1" as Epoch;

/** What became of one message, at offset 7, told step by step. */
class Story {
  readonly #events: HistoryEvent[] = [];

  leased(process: string, deliveries: number, failures = 0): this {
    return this.#tell(process, { op: "lease", kind: "invoke", ...this.#lease(deliveries), failures });
  }

  /** Settled, and confirmed. */
  settled(process: string, deliveries: number, outcome: Outcome): this {
    return this.says(process, deliveries, outcome).#tell(process, {
      op: "settle",
      kind: "ok",
      ...this.#lease(deliveries),
      outcome,
    });
  }

  says(process: string, deliveries: number, outcome: Outcome): this {
    return this.#tell(process, { op: "settle", kind: "invoke", ...this.#lease(deliveries), outcome });
  }

  dies(reason = "rejected"): this {
    return this.#tell("reader", { op: "read-dead", kind: "ok", group, about: 7 as Offset, reason });
  }

  get violations(): string[] {
    return this.judged();
  }

  judged(lost?: number): string[] {
    const draft = { channel: "jobs.a" as Channel, draft: "A", payload: "A" };
    const read = { op: "read", kind: "ok", epoch, offset: 7 as Offset, ...draft } as const;
    const history: HistoryEvent[] = [
      { process: "pub", at: 0, op: "publish", kind: "invoke", ...draft },
      ...this.#events,
      { process: "reader", at: this.#events.length + 1, ...read },
    ];
    const groups = { [group]: { pattern: "jobs.>" as Pattern, finished: true, lost } };
    return check(history, { namespaces: ["default"], finishers: [], groups }).map(String);
  }

  #lease(deliveries: number) {
    return { group, epoch, offset: 7 as Offset, deliveries };
  }

  #tell(process: string, happened: Happened): this {
    this.#events.push({ process, at: this.#events.length + 1, ...happened });
    return this;
  }
}

describe("a group that kept its promises", () => {
  test("retries, gives back, loses workers and their words, and settles in the end", () => {
    const story = new Story()
      .leased("a", 1)
      .settled("a", 1, "retry")
      .leased("b", 2, 1)
      .settled("b", 2, "release")
      .leased("a", 3, 1)
      .leased("b", 5, 2)
      .says("a", 3, "ack")
      .settled("b", 5, "ack");
    expect(story.violations).toEqual([]);
  });

  test("gives up what was rejected, once", () => {
    expect(new Story().leased("a", 1).settled("a", 1, "reject").dies().violations).toEqual([]);
  });

  test("owes nobody what it says that retention took before a member saw it", () => {
    expect(new Story().judged(1)).toEqual([]);
    const seen = new Story().leased("a", 1).settled("a", 1, "release");
    expect(seen.judged(1)).toEqual(["G13: g/7 was never settled."]);
  });

  test("may have settled what nobody confirmed", () => {
    expect(new Story().leased("a", 1).says("a", 1, "ack").violations).toEqual([]);
  });
});

describe("a broken promise", () => {
  test("one delivery went to two members", () => {
    const story = new Story().leased("a", 1).leased("b", 1).settled("a", 1, "ack");
    expect(story.violations).toContain("G10: g/7, delivery 1, went to a and to b.");
  });

  test("a late settlement was taken", () => {
    const story = new Story().leased("a", 1).leased("b", 2, 1).settled("a", 1, "retry").settled("b", 2, "ack");
    expect(story.violations).toContain("G10: g/7, delivery 1, was settled after delivery 2 had gone to b.");
  });

  test("a message was delivered after it had been settled", () => {
    const story = new Story().leased("a", 1).settled("a", 1, "ack").leased("b", 2).says("b", 2, "ack");
    expect(story.violations).toEqual(["G10: g/7, delivery 1, was settled by ack, and delivered again to b."]);
  });

  test("a message was settled for good twice", () => {
    const story = new Story().leased("a", 1).leased("b", 2, 1).settled("b", 2, "ack").settled("a", 1, "ack");
    expect(story.violations).toContain("G10: g/7 was settled for good 2 times.");
  });

  test("an acknowledged message is a dead letter", () => {
    const story = new Story().leased("a", 1).settled("a", 1, "ack").dies();
    expect(story.violations).toEqual(["G10: g/7 was acknowledged and is a dead letter."]);
  });

  test("a rejected message is no dead letter, or two", () => {
    const story = new Story().leased("a", 1).settled("a", 1, "reject");
    expect(story.violations).toEqual(["G10: g/7 was rejected and is no dead letter."]);
    expect(story.dies().dies().violations).toEqual(["G10: g/7 has 2 dead letters."]);
  });

  test("a failure was not counted, or one too many", () => {
    const retried = new Story().leased("a", 1).settled("a", 1, "retry").leased("b", 2, 0).settled("b", 2, "ack");
    expect(retried.violations).toEqual(["G10: g/7, delivery 1, ended by retry with 0 failures; the next one had 0."]);
    const released = new Story().leased("a", 1).settled("a", 1, "release").leased("b", 2, 1).settled("b", 2, "ack");
    expect(released.violations).toEqual([
      "G10: g/7, delivery 1, ended by release with 0 failures; the next one had 1.",
    ]);
  });

  test("failures were forgotten", () => {
    const story = new Story().leased("a", 1, 2).leased("b", 3, 1).settled("b", 3, "ack");
    expect(story.violations).toEqual(["G10: g/7, delivery 1, had 2 failures, a later one 1."]);
  });

  test("a message was never settled", () => {
    expect(new Story().violations).toEqual(["G13: g/7 was never settled."]);
    expect(new Story().leased("a", 1).settled("a", 1, "release").violations).toEqual(["G13: g/7 was never settled."]);
  });
});

describe("a group in the order of keys", () => {
  const place = (offset: number) => ({ group, epoch, offset: offset as Offset, deliveries: 1 });
  const publish = (draft: string) => ({ channel: "jobs.a" as Channel, draft, payload: draft });
  const judged = (...happened: Happened[]): string[] => {
    const drafts = ["A", "B"].map(publish);
    const all: Happened[] = [
      ...drafts.map((draft) => ({ op: "publish", kind: "invoke", ...draft }) as const),
      ...happened,
      ...drafts.map(
        (draft, i) => ({ op: "read", kind: "ok", key: "k", epoch, offset: (7 + i) as Offset, ...draft }) as const,
      ),
    ];
    const groups = { [group]: { pattern: "jobs.>" as Pattern, order: "key", finished: false } } as const;
    const history = all.map((one, at) => ({ process: "a", at, ...one }));
    return check(history, { namespaces: ["default"], finishers: [], groups }).map(String);
  };
  const lease = (offset: number): Happened => ({ op: "lease", kind: "invoke", failures: 0, ...place(offset) });
  const ack = (offset: number): Happened => ({ op: "settle", kind: "invoke", outcome: "ack", ...place(offset) });

  test("G10: a message was given before the one before it was done", () => {
    const violation = "G10: g/8 was given to a before g/7, of the same key k, was done.";
    expect(judged(lease(7), ack(7), lease(8))).toEqual([]);
    expect(judged(lease(7), lease(8), ack(7))).toEqual([violation]);
    expect(judged(lease(8))).toEqual([violation]);
  });

  test("may give what comes after a dead letter", () => {
    const dead = { op: "read-dead", kind: "ok", group, about: 7 as Offset, reason: "rejected" } as const;
    expect(judged(lease(7), lease(8), dead)).toEqual([]);
  });
});
