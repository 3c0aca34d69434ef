/** The order of a producer's drafts, through failures, repeats and changes of log, in every interleaving that hurts. */
import { type Channel, dogearError, type Offset, type Pattern } from "@dogear/shared";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { Appended } from "../../server/src/engine/engine.ts";
import type { Namespace } from "../../server/src/hub/namespace.ts";
import { Sequencer, type Unnumbered } from "../../server/src/hub/sequencer.ts";
import { whenDone } from "../support/temp.ts";
import { type HeldLog, type HeldNamespace, heldNamespace, settled } from "./support.ts";

const outOfOrder = { refused: "out-of-order" };

let a: Namespace;
let b: Namespace;
let logA: HeldLog;
let logB: HeldLog;
let sequencer: Sequencer;

beforeEach(async () => {
  ({ namespace: a, log: logA } = await heldNamespace("a"));
  ({ namespace: b, log: logB } = await heldNamespace("b"));
  sequencer = Sequencer.begin("p");
});

describe("without failures", () => {
  beforeEach(() => {
    logA.holding = logB.holding = false;
  });

  it("takes the next number and no other (P-24)", async () => {
    expect(await append(2, a)).toEqual(outOfOrder);
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: false });
    expect(await append(3, a)).toEqual(outOfOrder);
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("answers a number it has seen with its first result (P-24)", async () => {
    await append(1, a);
    await append(2, b);
    await append(3, a);
    for (const _ of [1, 2]) {
      expect(await append(1, a)).toEqual({ offset: 1, duplicate: true });
      expect(await append(2, b)).toEqual({ offset: 1, duplicate: true });
      expect(await append(3, a)).toEqual({ offset: 2, duplicate: true });
    }
    expect(await append(4, b)).toEqual({ offset: 2, duplicate: false });
  });

  it("takes a run of which the first were seen before (P-24, P-25)", async () => {
    await sequencer.append(1, a, drafts(3));
    expect(await sequencer.append(2, a, drafts(4))).toEqual([
      { offset: 2, duplicate: true },
      { offset: 3, duplicate: true },
      { offset: 4, duplicate: false },
      { offset: 5, duplicate: false },
    ]);
  });

  it("goes over a number that was used up (P-26)", async () => {
    await append(1, a);
    expect(sequencer.use(3)).toBe(false);
    expect(sequencer.use(2)).toBe(true);
    expect(await append(3, a)).toEqual({ offset: 2, duplicate: false });
    expect(sequencer.use(1)).toBe(true);
    expect(await append(2, a)).toEqual({ refused: "outcome-unknown" });
    expect(await append(4, a)).toEqual({ offset: 3, duplicate: false });
  });

  it("is found again by what the logs know (P-23, P-27)", async () => {
    await append(1, a);
    sequencer.use(2);
    await sequencer.append(3, a, drafts(2));
    await append(5, b);
    const found = (await Sequencer.find("p", [a, b])) as Sequencer;
    expect(await found.append(6, a, drafts(1))).toEqual([{ offset: 4, duplicate: false }]);
    expect(await found.append(5, b, drafts(1))).toEqual([{ offset: 1, duplicate: true }]);
    expect(await Sequencer.find("q", [a, b])).toBeUndefined();
  });

  it("answers a number that was used up by an id, also when it is found again (P-24)", async () => {
    const identified = drafts(1).map((draft) => ({ ...draft, id: "x" }));
    await Sequencer.begin("q").append(1, a, identified);
    expect(await sequencer.append(1, a, identified)).toEqual([{ offset: 1, duplicate: true }]);
    await append(2, b);
    // A log on disk forgets at a restart which numbers have no message of their own.
    const { namespace: restarted, log } = await heldNamespace("a");
    log.holding = false;
    await Sequencer.begin("q").append(1, restarted, identified);
    const found = (await Sequencer.find("p", [restarted, b])) as Sequencer;
    expect(await found.append(1, restarted, identified)).toEqual([{ offset: 1, duplicate: true }]);
  });

  it("goes on after a number of which the log knows only that it was used (P-26, P-29)", async () => {
    const identified = drafts(1).map((draft) => ({ ...draft, id: "x" }));
    await Sequencer.begin("q").append(1, a, identified);
    // Through another hub, where the client was before.
    await Sequencer.begin("p").append(1, a, identified);
    expect(await append(1, a)).toEqual({ refused: "outcome-unknown" });
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("believes what the client says was settled, but does not go back for it (P-27)", async () => {
    sequencer.settled(10);
    expect(await append(11, a)).toEqual({ offset: 1, duplicate: false });
    sequencer.settled(3);
    expect(await append(12, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("does not go back for a repeat whose result is not known (P-29)", async () => {
    await append(1, a);
    sequencer.use(2);
    await append(3, a);
    expect(await sequencer.append(1, a, drafts(3))).toEqual([
      { offset: 1, duplicate: true },
      { refused: "outcome-unknown" },
      { offset: 2, duplicate: true },
    ]);
    expect(await append(4, a)).toEqual({ offset: 3, duplicate: false });
  });
});

describe("a change of log", () => {
  it("waits until the log before has answered", async () => {
    const answers = [append(1, a), append(2, b), append(3, b), append(4, a)];
    await settled();
    expect([logA.held.length, logB.held.length]).toEqual([1, 0]);
    await logA.release();
    expect([logA.held.length, logB.held.length]).toEqual([0, 2]);
    await logB.release();
    expect(logA.held).toHaveLength(0);
    await logB.release();
    await logA.release();
    expect(await Promise.all(answers)).toEqual([1, 1, 2, 2].map((offset) => ({ offset, duplicate: false })));
  });

  it("waits also where a repeat for the other log came between", async () => {
    logB.holding = false;
    await append(1, b);
    logB.holding = true;
    const answers = [append(2, a), append(1, b), append(3, b)];
    await settled();
    // Of the log b, only the repeat may be on its way: if 2 is lost and 3 is not, nobody knows that 2 is missing.
    expect(logB.held.flatMap((one) => one.drafts.map(({ origin }) => origin))).toMatchObject([{ number: 1 }]);
    await logB.release();
    await logA.release();
    await logB.release();
    expect(await Promise.all(answers)).toMatchObject([{ offset: 1 }, { duplicate: true }, { offset: 2 }]);
  });

  it("answers a repeat of a draft that still waits for it with what becomes of that", async () => {
    const answers = [append(1, a), append(2, b)];
    // Its client came back by another connection before the hub noticed that the first one is gone.
    const again = [append(1, a), append(2, b)];
    await settled();
    for (const log of [logA, logA, logB, logB]) if (log.held.length > 0) await log.release();
    expect(await Promise.all(answers)).toEqual([
      { offset: 1, duplicate: false },
      { offset: 1, duplicate: false },
    ]);
    expect(await Promise.all(again)).toEqual([
      { offset: 1, duplicate: true },
      { offset: 1, duplicate: true },
    ]);
  });
});

describe("a failure for now", () => {
  const full = () => dogearError("disk-full");

  it("gives the number back, and what follows is out of order until it comes again (P-26)", async () => {
    const first = failing(append(1, a));
    const second = append(2, a);
    await settled();
    await logA.fail(full());
    await logA.release();
    expect(await first).toBe("disk-full");
    expect(await second).toEqual(outOfOrder);
    logA.holding = false;
    expect(await append(2, a)).toEqual(outOfOrder);
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: false });
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("that is none, because only the answer was lost, is known as such when what follows it was taken (P-25, P-26)", async () => {
    const first = failing(append(1, a));
    const second = append(2, a);
    await settled();
    await logA.lose(dogearError("unavailable"));
    expect(await first).toBe("unavailable");
    await logA.release();
    expect(await second).toEqual({ offset: 2, duplicate: false });
    logA.holding = false;
    // The client has its answer for 2 and does not send it again.
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: true });
    expect(await append(3, a)).toEqual({ offset: 3, duplicate: false });
  });

  it("that is none, because only the answer was lost, is known as such when a repeat was answered (P-25, P-26)", async () => {
    const first = failing(append(1, a));
    const repeat = append(1, a);
    await settled();
    await logA.lose(dogearError("unavailable"));
    expect(await first).toBe("unavailable");
    await logA.release();
    expect(await repeat).toEqual({ offset: 1, duplicate: true });
    logA.holding = false;
    // The client has its answer for 1, over another connection, and does not send it again.
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("is one also of a repeat whose id somebody else has used (P-26, P-29)", async () => {
    const identified = drafts(1).map((draft) => ({ ...draft, id: "x" }));
    const other = Sequencer.begin("q").append(1, a, identified);
    const first = failing(sequencer.append(1, a, identified));
    const repeat = sequencer.append(1, a, identified);
    await settled();
    await logA.release();
    expect(await other).toEqual([{ offset: 1, duplicate: false }]);
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    await logA.release();
    expect(await repeat).toEqual([outOfOrder]);
    logA.holding = false;
    expect(await sequencer.append(1, a, identified)).toEqual([{ offset: 1, duplicate: true }]);
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("of a repeat is not that of what came with it, which is answered when its own result is known", async () => {
    const first = append(1, a);
    await settled();
    let answered = false;
    const run = failing(sequencer.append(1, a, drafts(2))).finally(() => {
      answered = true;
    });
    await settled();
    await logA.release();
    expect(await first).toEqual({ offset: 1, duplicate: false });
    await logA.fail(full());
    expect(answered).toBe(false);
    await logA.release();
    expect(await run).toBe("disk-full");
    logA.holding = false;
    expect(await sequencer.append(1, a, drafts(2))).toEqual([
      { offset: 1, duplicate: true },
      { offset: 2, duplicate: true },
    ]);
  });

  it("is a failure for now also of a repeat that came meanwhile (P-26, P-29)", async () => {
    const first = failing(append(1, a));
    const repeat = append(1, a);
    await settled();
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    // It comes once more before the repeat has its answer.
    const again = append(1, a);
    await settled();
    await logA.release();
    expect(await repeat).toEqual(outOfOrder);
    await logA.release();
    expect(await again).toEqual({ offset: 1, duplicate: false });
  });

  it("is a failure for now also of a repeat that waits, as its original does, for another log (P-26, P-29)", async () => {
    const first = failing(append(1, a));
    const second = append(2, b);
    const repeat = append(2, b);
    await settled();
    logB.holding = false;
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    expect(await Promise.all([second, repeat])).toEqual([outOfOrder, outOfOrder]);
    logA.holding = false;
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: false });
    expect(await append(2, b)).toEqual({ offset: 1, duplicate: false });
  });

  it("leaves repeats of what is behind it, and they let no repeat of what comes again pass it (P-26, P-29)", async () => {
    const failed = failing(append(1, a));
    for (const _ of ["", "again"]) {
      void append(2, b).catch(() => {});
      void append(3, a).catch(() => {});
    }
    await settled();
    await logA.fail(dogearError("unavailable"));
    expect(await failed).toBe("unavailable");
    // Repeats of 2 and 3 are on their way and wait; 1 comes again, and once more before it was answered.
    const original = append(1, a);
    const repeat = append(1, a);
    await settled();
    logA.holding = logB.holding = false;
    while (logA.held.length > 0) await logA.release();
    while (logB.held.length > 0) await logB.release();
    expect(await soon(original)).toEqual({ offset: 1, duplicate: false });
    expect(await soon(repeat)).toEqual({ offset: 1, duplicate: true });
  });

  it("takes back also what comes before that which failed first (P-26)", async () => {
    const [first, second] = [failing(append(1, a)), failing(append(2, a))];
    await settled();
    await logA.held[1]?.fail(full());
    await logA.fail(full());
    expect(await Promise.all([first, second])).toEqual(["disk-full", "disk-full"]);
    logA.holding = false;
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: false });
    expect(await append(2, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("of one log leaves nobody waiting who wanted another (P-26)", async () => {
    const first = failing(append(1, a));
    const others = [append(2, b), append(3, a), append(4, b)];
    await settled();
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    expect(await soon(Promise.all(others))).toEqual([outOfOrder, outOfOrder, outOfOrder]);
    logA.holding = logB.holding = false;
    const again = [append(1, a), append(2, b), append(3, a), append(4, b)];
    expect(await soon(Promise.all(again))).toEqual([1, 1, 2, 2].map((offset) => ({ offset, duplicate: false })));
  });

  it("that comes late does not take back what was sent again meanwhile (P-26)", async () => {
    const first = failing(append(1, a));
    const second = append(2, a);
    await settled();
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    // The client sends both again while the old second one is on its way.
    const again = [append(1, a), append(2, a)];
    await settled();
    await logA.release();
    expect(await second).toEqual(outOfOrder);
    await logA.release();
    await logA.release();
    expect(await Promise.all(again)).toEqual([1, 2].map((offset) => ({ offset, duplicate: false })));
    logA.holding = false;
    expect(await append(3, a)).toEqual({ offset: 3, duplicate: false });
  });

  it("of a run that is partly a repeat is one failure, with nothing left unhandled", async () => {
    logA.holding = false;
    await sequencer.append(1, a, drafts(2));
    logA.holding = true;
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    whenDone(() => void process.off("unhandledRejection", note));
    const run = failing(sequencer.append(1, a, drafts(4)));
    await settled();
    const held = [...logA.held];
    // One commit held both, so both fail in one turn.
    await Promise.all(held.map((one) => one.fail(full())));
    expect(await run).toBe("disk-full");
    expect(unhandled).toEqual([]);
    logA.holding = false;
    expect(await sequencer.append(1, a, drafts(4))).toEqual([
      { offset: 1, duplicate: true },
      { offset: 2, duplicate: true },
      { offset: 3, duplicate: false },
      { offset: 4, duplicate: false },
    ]);
  });

  it("does not give back a number that a refusal has used up behind it (P-26)", async () => {
    const first = failing(append(1, a));
    expect(sequencer.use(2)).toBe(true);
    await settled();
    await logA.fail(full());
    expect(await first).toBe("disk-full");
    logA.holding = false;
    expect(await append(1, a)).toEqual({ offset: 1, duplicate: false });
    // The client has its answer for 2 and does not send it again.
    expect(await append(3, a)).toEqual({ offset: 2, duplicate: false });
  });

  it("keeps the order of what is published, whatever fails and whatever is sent again (P-24, P-26)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 60 }), async (choices) => {
        const parts = { a: await heldNamespace("a"), b: await heldNamespace("b") };
        const drawn = Sequencer.begin("p");
        const world = new World(drawn, [parts.a, parts.b]);
        for (const choice of choices) await world.step(choice);
        await world.finish();
        expect(world.unanswered).toEqual([]);
        for (const { namespace } of [parts.a, parts.b]) {
          const numbers = await world.numbersIn(namespace);
          expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** A client that sends eight drafts to two logs, some of them refused, and keeps to the rules whatever happens. */
class World {
  /** Numbers without an answer for good. */
  unanswered = [1, 2, 3, 4, 5, 6, 7, 8];
  readonly #sequencer: Sequencer;
  readonly #logs: readonly HeldNamespace[];
  #mustResend = false;
  #sent = 0;
  #open = 0;

  constructor(drawn: Sequencer, logs: readonly HeldNamespace[]) {
    this.#sequencer = drawn;
    this.#logs = logs;
  }

  async step(choice: number): Promise<void> {
    const held = this.#logs.filter(({ log }) => log.held.length > 0);
    const log = held[choice % Math.max(1, held.length)]?.log;
    if (choice < 3) this.#send();
    else if (choice < 5) await log?.release();
    else if (choice < 6) await log?.fail(dogearError("disk-full"));
    else await log?.lose(dogearError("unavailable"));
    await settled();
  }

  async finish(): Promise<void> {
    for (let round = 0; round < 100 && this.unanswered.length > 0; round++) {
      for (let i = 0; i < 8; i++) this.#send();
      for (const { log } of this.#logs) if (log.held.length > 0) await log.release();
      await settled();
    }
  }

  /** The numbers of what a log holds, as their data. */
  async numbersIn({ log }: Namespace): Promise<number[]> {
    const everything = { messages: 1_000, bytes: 1_000_000, scan: 1_000_000 };
    const { messages } = await log.read(">" as Pattern, 0 as Offset, everything);
    return (JSON.parse(`[${messages.bytes}]`) as { data: number }[]).map(({ data }) => data);
  }

  /** Sends the next draft; after a failure, all from the first one without an answer, once nothing is on its way. */
  #send(): void {
    if (this.#mustResend && this.#open === 0) {
      this.#mustResend = false;
      this.#sent = 0;
    }
    const number = this.unanswered.find((one) => one > this.#sent);
    if (number === undefined || this.#mustResend) return;
    this.#sent = number;
    // Every third is refused by the hub before it comes to a log.
    if (number % 3 === 0) {
      if (this.#sequencer.use(number)) this.#settle(number);
      else this.#mustResend = true;
      return;
    }
    this.#open++;
    const { namespace } = this.#logs[number % 2] as HeldNamespace;
    this.#sequencer
      .append(number, namespace, drafts(1, number))
      .then(([answer]) => {
        if (answer === undefined || "refused" in answer) this.#mustResend = true;
        else this.#settle(number);
      })
      .catch(() => {
        this.#mustResend = true;
      })
      .finally(() => this.#open--);
  }

  #settle(number: number): void {
    this.unanswered = this.unanswered.filter((one) => one !== number);
  }
}

async function append(number: number, namespace: Namespace): Promise<Appended> {
  const [answer] = await sequencer.append(number, namespace, drafts(1));
  return answer as Appended;
}

function drafts(length: number, data = 1): Unnumbered[] {
  return Array.from({ length }, () => ({
    channel: "c" as Channel,
    attributes: "",
    data: Buffer.from(String(data)),
    id: undefined,
  }));
}

/** The code with which a promise is rejected. */
function failing(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no failure",
    (error: { code: string }) => error.code,
  );
}

/** What a promise resolves with when everything has happened that can. */
async function soon<T>(promise: Promise<T>): Promise<T | "still waiting"> {
  await settled();
  await settled();
  return Promise.race([promise, settled().then(() => "still waiting" as const)]);
}
