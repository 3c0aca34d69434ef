/** The checker finds each kind of broken promise, in histories small enough to see it oneself. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { Channel, Durability, Epoch, Offset, Pattern } from "@dogear/shared";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/temp.ts";
import { check, explain, type Setup } from "./checker.ts";
import { type Happened, type HistoryEvent, HistoryWriter, readHistories } from "./history.ts";

const epoch = "e1" as Epoch;
const at = (offset: number, other = epoch) => ({ epoch: other, offset: offset as Offset });
const content = (draft: string, { channel = "a", payload = `payload of ${draft}` } = {}) => ({
  channel: channel as Channel,
  draft,
  payload,
});

type Read = Extract<Happened, { op: "read" }>;

/** A run told step by step; what the final read finds is written as the story goes. */
class Story {
  readonly events: HistoryEvent[] = [];
  readonly log: Read[] = [];
  readonly finishers: string[] = [];
  #bounds: Happened[] = [];

  tell(process: string, happened: Happened): this {
    this.events.push({ process, at: this.events.length, ...happened });
    return this;
  }

  invoke(draft: string, options: { channel?: string; process?: string } = {}): this {
    return this.tell(options.process ?? "pub", { op: "publish", kind: "invoke", ...content(draft, options) });
  }

  /** Published, acknowledged and in the log. */
  publish(draft: string, offset: number, options: { channel?: string; process?: string } = {}): this {
    this.invoke(draft, options).logged(draft, offset, options);
    return this.acknowledged(draft, offset, options.process);
  }

  acknowledged(draft: string, offset: number, process = "pub", durability: Durability = "disk"): this {
    return this.tell(process, { op: "publish", kind: "ok", draft, ...at(offset), durability });
  }

  /** Retention has removed what comes before. */
  oldest(offset: number): this {
    const newest = this.log.at(-1)?.offset ?? (0 as Offset);
    this.#bounds = [{ op: "read-bounds", kind: "ok", namespace: "default", oldest: offset as Offset, newest }];
    return this;
  }

  logged(draft: string, offset: number, options: { channel?: string; payload?: string } = {}): this {
    this.log.push({ op: "read", kind: "ok", ...content(draft, options), ...at(offset) });
    return this;
  }

  /** Takes a message out of the log again. */
  lose(draft: string): this {
    this.log.splice(
      this.log.findIndex((message) => message.draft === draft),
      1,
    );
    return this;
  }

  subscribe(process: string, options: { pattern?: string; subscriber?: string; fromEarliest?: boolean } = {}): this {
    const { pattern = ">", subscriber, fromEarliest = false } = options;
    return this.tell(process, {
      op: "subscribe",
      kind: "invoke",
      subscription: "1",
      pattern: pattern as Pattern,
      subscriber,
      fromEarliest,
    });
  }

  confirm(process: string, offset: number): this {
    return this.tell(process, { op: "subscribe", kind: "ok", subscription: "1", ...at(offset) });
  }

  given(process: string, offset: number, draft: string, options: { channel?: string; payload?: string } = {}): this {
    const message = { ...content(draft, options), ...at(offset) };
    return this.tell(process, { op: "deliver", kind: "invoke", subscription: "1", ...message });
  }

  done(process: string, offset: number): this {
    return this.tell(process, { op: "deliver", kind: "ok", subscription: "1", ...at(offset) });
  }

  gap(process: string, from: number, to: number): this {
    const range = { from: from as Offset, to: to as Offset, reason: "retention" } as const;
    return this.tell(process, { op: "gap", kind: "info", subscription: "1", ...range, ...at(to) });
  }

  finishes(...processes: string[]): this {
    this.finishers.push(...processes);
    return this;
  }

  get violations(): string[] {
    return this.judged();
  }

  judged(setup: Partial<Setup> = {}): string[] {
    const end = [...this.log, ...this.#bounds].map((happened, i) => ({
      process: "reader",
      at: this.events.length + i,
      ...happened,
    }));
    const { finishers } = this;
    return check([...this.events, ...end], { namespaces: ["default", "metrics"], finishers, ...setup }).map(String);
  }
}

const abc = () => new Story().publish("A", 1).publish("B", 2).publish("C", 3);

describe("a run that kept its promises", () => {
  test("has no violations, whatever was killed, repeated, refused or never answered", () => {
    const story = new Story()
      .subscribe("sub#1", { subscriber: "sub", fromEarliest: true })
      .confirm("sub#1", 0)
      .publish("A", 1)
      .publish("M", 1, { channel: "metrics.m" })
      .given("sub#1", 1, "A")
      .done("sub#1", 1)
      .invoke("unknown and stored")
      .logged("unknown and stored", 2)
      .tell("pub", { op: "publish", kind: "info", draft: "unknown and stored", error: "killed" })
      .given("sub#1", 2, "unknown and stored")
      .invoke("unknown and lost")
      .invoke("refused")
      .tell("pub", { op: "publish", kind: "fail", draft: "refused", error: "message-too-large" })
      .publish("C", 3)
      .subscribe("sub#2", { subscriber: "sub", fromEarliest: true })
      .confirm("sub#2", 1)
      .given("sub#2", 2, "unknown and stored")
      .done("sub#2", 2)
      .confirm("sub#2", 2)
      .given("sub#2", 3, "C")
      .done("sub#2", 3)
      .finishes("sub#2");
    expect(story.violations).toEqual([]);
  });

  test("may have gaps over what is no longer there", () => {
    const story = abc().lose("A").lose("B").subscribe("sub", { fromEarliest: true }).confirm("sub", 0);
    story.gap("sub", 0, 2).given("sub", 3, "C").finishes("sub");
    // What is gone is missed only by those who check what was acknowledged.
    expect(story.violations).toEqual([
      "G1: draft A was acknowledged at default@e1/1, where the log holds nothing.",
      "G1: draft B was acknowledged at default@e1/2, where the log holds nothing.",
    ]);
  });
});

describe("publishing", () => {
  test("G1: what was acknowledged is not in the log", () => {
    const violation = "G1: draft C was acknowledged at default@e1/3, where the log holds nothing.";
    expect(abc().lose("C").violations).toEqual([violation]);
  });

  test("G2: the place that was acknowledged holds another message", () => {
    const story = new Story().invoke("A").logged("A", 1).publish("B", 2);
    story.acknowledged("A", 2);
    expect(story.violations).toEqual(["G2: draft A was acknowledged at default@e1/2, where the log holds draft B."]);
  });

  test("G4: the log holds what nobody published", () => {
    expect(abc().logged("X", 4).violations).toEqual(["G4: the message at 4 is draft X, which nobody published."]);
  });

  test("G4: the log holds another payload, or another channel, than was published", () => {
    const payload = new Story().invoke("A").logged("A", 1, { payload: "other" });
    const channel = new Story().invoke("A").logged("A", 1, { channel: "other" });
    expect(payload.violations).toEqual(["G4: draft A is not in the log as it was published."]);
    expect(channel.violations).toEqual(payload.violations);
  });

  test("G4: what definitely failed is in the log", () => {
    const story = new Story().invoke("A").logged("A", 1);
    story.tell("pub", { op: "publish", kind: "fail", draft: "A", error: "queue-full" });
    expect(story.violations).toEqual(["G4: draft A failed with queue-full and is in the log at 1."]);
  });

  test("G6: a producer's drafts are in another order than it published them", () => {
    const story = new Story().invoke("A").invoke("B").logged("B", 1).logged("A", 2);
    expect(story.violations).toEqual(["G6: pub published draft A before draft B, which comes first in the log."]);
  });

  test("G6 is about one producer and one log", () => {
    const story = new Story().invoke("A", { process: "other" }).invoke("M").invoke("N", { channel: "metrics.n" });
    story.logged("M", 1).logged("A", 2).logged("N", 1, { channel: "metrics.n" });
    expect(story.violations).toEqual([]);
  });

  test("G13: who ran until the end never heard what became of a draft", () => {
    const story = new Story().invoke("A").logged("A", 1);
    expect(story.violations).toEqual([]);
    expect(story.finishes("pub").violations).toEqual(["G13: pub never heard what became of draft A."]);
  });

  test("G14: an acknowledgement claims more than is true", () => {
    const story = abc();
    expect(story.judged({ durability: { default: "disk" } })).toEqual([]);
    expect(story.judged({ durability: { default: "process", metrics: "disk" } })).toEqual(
      ["A", "B", "C"].map((draft) => `G14: draft ${draft} was acknowledged as disk, and only process was true.`),
    );
  });

  test("G1, G14: a fault takes what was not said to survive it, and nothing else", () => {
    const story = new Story().invoke("A").acknowledged("A", 1, "pub", "process").invoke("B").acknowledged("B", 2);
    story.tell("faults", { op: "fault", kind: "info", fault: "power cut", takes: "process" });
    story.invoke("C").acknowledged("C", 3, "pub", "process");
    expect(story.violations).toEqual([
      "G1: draft B was acknowledged at default@e1/2, where the log holds nothing.",
      "G1: draft C was acknowledged at default@e1/3, where the log holds nothing.",
    ]);
  });

  test("may lose to retention what retention has removed", () => {
    expect(abc().lose("A").lose("B").oldest(3).violations).toEqual([]);
    expect(abc().lose("A").lose("B").oldest(2).violations).toHaveLength(1);
  });

  test("G7: a draft is in the log twice", () => {
    expect(abc().logged("C", 4).violations).toContain("G7: draft C is in the log twice, at 3 and 4.");
  });
});

describe("what readers see", () => {
  test("G3: a reader was given what the log lost", () => {
    const story = new Story().publish("A", 1).invoke("B").subscribe("sub").confirm("sub", 0);
    story.given("sub", 1, "A").given("sub", 2, "B");
    expect(story.violations).toEqual(["G3: sub was given default@e1/2, where the log holds nothing."]);
  });

  test("G2: a reader was given another message than the log holds at that place", () => {
    const story = new Story().publish("A", 1).invoke("B").subscribe("sub").confirm("sub", 0).given("sub", 1, "B");
    expect(story.violations).toEqual(["G2: sub was given draft B at default@e1/1, where the log holds draft A."]);
  });

  test("G2: two readers were given different payloads at one place", () => {
    const story = new Story().publish("A", 1);
    story.subscribe("one").confirm("one", 0).given("one", 1, "A");
    story.subscribe("two").confirm("two", 0).given("two", 1, "A", { payload: "cut short" });
    expect(story.violations).toContain("G2: one and two were given different messages at default@e1/1.");
  });
});

describe("a subscription", () => {
  test("G5: is given what its pattern does not select", () => {
    const story = abc().subscribe("sub", { pattern: "b" }).confirm("sub", 0).given("sub", 1, "A");
    expect(story.violations).toEqual(["G5: sub/1 was given a, which b does not select."]);
  });

  test("G5: goes back", () => {
    const story = abc().subscribe("sub").confirm("sub", 0).given("sub", 1, "A").given("sub", 3, "C");
    story.given("sub", 2, "B");
    expect(story.violations).toEqual(["G5: sub/1 was given offset 2 after 3."]);
  });

  test("G5: is given what lies before its position", () => {
    const story = abc().subscribe("sub").confirm("sub", 2).given("sub", 2, "B");
    expect(story.violations).toEqual(["G5: sub/1 was given offset 2 after 2."]);
  });

  test("G5: is told a gap over what is still there", () => {
    const story = abc().subscribe("sub").confirm("sub", 0).gap("sub", 0, 2).given("sub", 3, "C");
    expect(story.violations).toEqual([
      "G5: sub/1 was told a gap from 0 to 2; the log holds 1.",
      "G5: sub/1 was told a gap from 0 to 2; the log holds 2.",
    ]);
  });

  test("G5, G11: passes over a message that matches", () => {
    const story = abc().subscribe("sub").confirm("sub", 0).given("sub", 1, "A").confirm("sub", 1).given("sub", 3, "C");
    expect(story.violations).toEqual(["G5, G11: sub/1 was given offset 3 and never offset 2."]);
  });

  test("G5, G11: begins later than with the earliest message, which it asked for", () => {
    const story = abc().subscribe("sub", { fromEarliest: true }).confirm("sub", 2).given("sub", 3, "C");
    expect(story.violations).toEqual([
      "G5, G11: sub/1 was given offset 3 and never offset 1.",
      "G5, G11: sub/1 was given offset 3 and never offset 2.",
    ]);
  });

  test("G8: is given a message twice, also across a reconnect", () => {
    const story = abc().subscribe("sub").confirm("sub", 0).given("sub", 1, "A").given("sub", 2, "B");
    story.confirm("sub", 1).given("sub", 2, "B").given("sub", 3, "C");
    expect(story.violations).toEqual(["G8: sub/1 was given offset 2 twice."]);
  });

  test("G5: is told a gap over what was removed, where nothing of it was of its kind", () => {
    const story = abc().publish("D", 4, { channel: "b" }).oldest(3);
    story.subscribe("sub", { pattern: "b", fromEarliest: true }).confirm("sub", 0).gap("sub", 0, 2);
    expect(story.given("sub", 4, "D", { channel: "b" }).violations).toEqual([
      "G5: sub/1 was told a gap from 0 to 2, where nothing was removed that it selects.",
    ]);
  });

  test("is not held to what the final read came too late for", () => {
    const story = abc().publish("D", 4, { channel: "b" }).lose("A").oldest(3);
    story.subscribe("sub", { pattern: "b", fromEarliest: true }).confirm("sub", 0).gap("sub", 0, 1);
    expect(story.given("sub", 4, "D", { channel: "b" }).violations).toEqual([]);
  });

  test("G13: does not get everything after the faults have stopped", () => {
    const story = abc().subscribe("sub").confirm("sub", 1).given("sub", 2, "B");
    expect(story.violations).toEqual([]);
    expect(story.finishes("sub").violations).toEqual(["G13: sub/1 never got as far as offset 3."]);
  });

  test("G13: is never confirmed", () => {
    expect(abc().subscribe("sub").finishes("sub").violations).toEqual(["G13: sub/1 was never confirmed."]);
  });
});

describe("a cursor", () => {
  const durable = { subscriber: "me", fromEarliest: true };

  test("G9: moves back", () => {
    const story = abc().subscribe("sub#1", durable).confirm("sub#1", 0).given("sub#1", 1, "A").done("sub#1", 1);
    story.confirm("sub#1", 1).subscribe("sub#2", durable).confirm("sub#2", 0);
    expect(story.violations).toEqual(["G9: the cursor of me in > moved back from 1 to 0."]);
  });

  test("G9: skips what was given to a handler that never finished it", () => {
    const story = abc().subscribe("sub#1", durable).confirm("sub#1", 0).given("sub#1", 1, "A").done("sub#1", 1);
    story.given("sub#1", 2, "B").subscribe("sub#2", durable).confirm("sub#2", 2).given("sub#2", 3, "C");
    expect(story.violations).toEqual([
      "G9: the cursor of me in > moved to 2, past offset 2, which nobody had finished.",
    ]);
  });

  test("G9: is new and does not begin where it was asked to", () => {
    const story = abc().subscribe("sub#1", durable).confirm("sub#1", 1);
    expect(story.violations).toEqual([
      "G9: the cursor of me in > moved to 1, past offset 1, which nobody had finished.",
    ]);
  });

  test("G9: passes the end of the log", () => {
    const story = abc().subscribe("sub#1", { subscriber: "me" }).confirm("sub#1", 4);
    expect(story.violations).toEqual(["G9: the cursor of me in > was at 4, beyond the end of the log."]);
  });

  test("is compared with what was heard before a life began, not with what another hears meanwhile", () => {
    const story = abc().subscribe("sub#1", durable).subscribe("sub#2", durable);
    story.confirm("sub#2", 0).given("sub#2", 1, "A").done("sub#2", 1).confirm("sub#2", 1).confirm("sub#1", 0);
    expect(story.violations).toEqual([]);
    story.subscribe("sub#3", durable).confirm("sub#3", 0);
    expect(story.violations).toEqual(["G9: the cursor of me in > moved back from 1 to 0."]);
  });

  test("may have been moved on by another that has it", () => {
    const story = abc().subscribe("one", durable).confirm("one", 0).given("one", 1, "A").done("one", 1);
    story.subscribe("two", durable).confirm("two", 1).given("two", 2, "B");
    story.confirm("one", 2).given("one", 3, "C");
    expect(story.violations).toEqual([
      "G9: the cursor of me in > moved to 2, past offset 2, which nobody had finished.",
    ]);
  });

  test("may move past what does not match, and repeat what was not acknowledged", () => {
    const story = abc().publish("D", 4, { channel: "b" });
    story
      .subscribe("sub#1", { ...durable, pattern: "b" })
      .confirm("sub#1", 0)
      .given("sub#1", 4, "D", { channel: "b" });
    story
      .subscribe("sub#2", { ...durable, pattern: "b" })
      .confirm("sub#2", 3)
      .given("sub#2", 4, "D", { channel: "b" });
    expect(story.finishes("sub#2").violations).toEqual([]);
  });
});

describe("what is scheduled", () => {
  const scheduled = () => {
    const draft = content("S");
    const story = abc().tell("pub", { op: "schedule", kind: "invoke", ...draft });
    return story.tell("pub", { op: "schedule", kind: "ok", draft: "S" });
  };

  test("comes when it is due, whatever was published in the meantime", () => {
    expect(scheduled().publish("D", 4).logged("S", 5).violations).toEqual([]);
  });

  test("G1: never came", () => {
    expect(scheduled().violations).toEqual(["G1: draft S was scheduled, and is not in the log."]);
  });

  test("G7: came twice", () => {
    const violation = "G7: draft S is in the log twice, at 4 and 5.";
    expect(scheduled().logged("S", 4).logged("S", 5).violations).toEqual([violation]);
  });
});

test("G12: a hub holds more for a connection than it may", () => {
  const buffer = { op: "buffer", kind: "info", bytesMax: 100 } as const;
  const story = new Story().tell("hub", { ...buffer, bytes: 100 }).tell("hub", { ...buffer, bytes: 101 });
  expect(story.violations).toEqual(["G12: hub held 101 bytes for a connection that may have 100."]);
});

test("a violation names the events that prove it", () => {
  const story = abc().lose("B");
  const history = [...story.events];
  const violations = check(history, { namespaces: [], finishers: [] });
  expect(explain(violations.slice(1, 2))).toBe(
    [
      "G1: draft B was acknowledged at default@e1/2, where the log holds nothing.",
      `    ${JSON.stringify(history[2])}`,
      `    ${JSON.stringify(history[3])}`,
    ].join("\n"),
  );
});

describe("a history", () => {
  test("is read back in the order of time, without the line that a death cut short", () => {
    const folder = temporaryFolder();
    const files = [join(folder, "one"), join(folder, "two")] as const;
    const one = new HistoryWriter(files[0], "one");
    const two = new HistoryWriter(files[1], "two");
    one.write({ op: "publish", kind: "info", draft: "first", error: "x" });
    two.write({ op: "publish", kind: "info", draft: "second", error: "x" });
    one.write({ op: "publish", kind: "info", draft: "third", error: "x" });
    one.close();
    two.close();
    appendFileSync(files[1], '{"process":"two","at":1,"op":"pub');
    const read = readHistories(files);
    expect(read.map((event) => event.op === "publish" && event.draft)).toEqual(["first", "second", "third"]);
    expect(read.map(({ process }) => process)).toEqual(["one", "two", "one"]);
  });
});
