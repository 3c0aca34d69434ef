/**
 * Keeps one producer's drafts in order: the next number is taken, an old one is answered with its first result, one
 * that skips ahead is refused.
 *
 *     append ──► #waiting ── in order, to one log at a time ──► in flight ──► answered
 *
 * A producer's drafts go to the logs of several namespaces. While some are on their way to one log, a draft for
 * another waits, so that at any moment only one log can have lost the end of the sequence; that is what makes the
 * highest number found in any log the last one settled.
 */
import type { Appended, Draft } from "../engine/engine.ts";
import type { Namespace } from "./namespace.ts";

/** A draft before its number is put to it. */
export type Unnumbered = Omit<Draft, "origin">;

/** Drafts with consecutive numbers for one log. */
interface Run {
  readonly first: number;
  readonly namespace: Namespace;
  readonly drafts: readonly Unnumbered[];
  /** Where they were seen before, what was taken back since: nothing is appended, and nothing depends on them. */
  readonly repeats: Setback | undefined;
}

interface Waiting extends Run {
  readonly answer: (answers: readonly Appended[] | Promise<readonly Appended[]>) => void;
}

/** The lowest number that was taken back since it was watched. */
interface Setback {
  lowest: number;
}

const outOfOrder: Appended = { refused: "out-of-order" };

export class Sequencer {
  readonly #producer: string;
  #next: number;
  /** The last number handed to each namespace's log. */
  readonly #last: Map<Namespace, number>;
  /** Numbers that are used without a message, at or above what may have to be taken back. */
  readonly #used = new Set<number>();
  #waiting: Waiting[] = [];
  /** The log that drafts are on their way to, and how many runs of them. */
  #current: Namespace | undefined;
  #inFlight = 0;
  /** Those that are watched, for runs that have no answers yet. */
  readonly #setbacks = new Set<Setback>();

  private constructor(producer: string, next: number, last: Map<Namespace, number>) {
    this.#producer = producer;
    this.#next = next;
    this.#last = last;
  }

  /** `undefined` where no log knows the producer. */
  static async find(producer: string, namespaces: Iterable<Namespace>): Promise<Sequencer | undefined> {
    const last = new Map<Namespace, number>();
    for (const namespace of namespaces) last.set(namespace, await namespace.log.lastNumber(producer));
    const highest = Math.max(...last.values());
    return highest === 0 ? undefined : new Sequencer(producer, highest + 1, last);
  }

  static begin(producer: string): Sequencer {
    return new Sequencer(producer, 1, new Map());
  }

  /** Takes the client's word that every number up to one is settled, and which above it were refused. */
  settled(number: number, refused: readonly number[] = []): void {
    for (const one of refused) if (one >= this.#next) this.#used.add(one);
    this.#advance(Math.max(this.#next, number + 1));
  }

  /** Whether a number is neither a repeat nor one that skips ahead. */
  expects(number: number): boolean {
    return number === this.#next;
  }

  /** Whether a number was used, for a draft that was taken or for one that was refused for good. */
  hasSeen(number: number): boolean {
    return number < this.#next;
  }

  /** Uses up a number whose draft is refused for good. False where it skips ahead: then it is not used. */
  use(number: number): boolean {
    if (number > this.#next) return false;
    if (number === this.#next) {
      this.#used.add(number);
      this.#advance(number);
    }
    return true;
  }

  /** Appends drafts with consecutive numbers, the first of which is given, and answers each. */
  async append(first: number, namespace: Namespace, drafts: readonly Unnumbered[]): Promise<readonly Appended[]> {
    if (first > this.#next) return drafts.map(() => outOfOrder);
    const repeated = Math.min(drafts.length, this.#next - first);
    if (repeated === drafts.length) return this.#enqueue(first, namespace, drafts, true);
    if (repeated > 0) {
      const both = [
        this.#enqueue(first, namespace, drafts.slice(0, repeated), true),
        this.append(first + repeated, namespace, drafts.slice(repeated)),
      ];
      // One answer for all, when both parts have theirs.
      await Promise.allSettled(both);
      return (await Promise.all(both)).flat();
    }
    this.#advance(first + drafts.length);
    return this.#enqueue(first, namespace, drafts, false);
  }

  /** Moves on to a number, and past those behind it that are used already. */
  #advance(next: number): void {
    this.#next = next;
    while (this.#used.has(this.#next)) this.#next++;
  }

  #enqueue(
    first: number,
    namespace: Namespace,
    drafts: readonly Unnumbered[],
    repeats: boolean,
  ): Promise<readonly Appended[]> {
    // A repeat waits only for itself.
    const isAhead = this.#waiting.every((run) => run.repeats !== undefined || first + drafts.length <= run.first);
    if (repeats && isAhead) {
      return this.#repeat(first, namespace, drafts, this.#watchSetbacks());
    }
    const run = { first, namespace, drafts, repeats: repeats ? this.#watchSetbacks() : undefined };
    if (this.#waiting.length === 0 && this.#mayGo(run)) return this.#go(run);
    return new Promise((answer) => void this.#waiting.push({ ...run, answer }));
  }

  #pump(): void {
    for (let run = this.#waiting[0]; run !== undefined && this.#mayGo(run); run = this.#waiting[0]) {
      this.#waiting.shift();
      run.answer(this.#go(run));
    }
  }

  #mayGo({ namespace }: Run): boolean {
    return this.#inFlight === 0 || this.#current === namespace;
  }

  #go(run: Run): Promise<readonly Appended[]> {
    this.#current = run.namespace;
    this.#inFlight++;
    return run.repeats === undefined ? this.#hand(run) : this.#handRepeats(run, run.repeats);
  }

  async #hand({ first, namespace, drafts }: Run): Promise<readonly Appended[]> {
    const before = this.#last.get(namespace) ?? 0;
    this.#last.set(namespace, first + drafts.length - 1);
    const setback = this.#watchSetbacks();
    const takeBack = (number: number) => {
      // Otherwise the reason was dealt with already, and what was taken back may be on its way again.
      if (number < setback.lowest) this.#takeBack(number, namespace, number === first ? before : number - 1);
    };
    try {
      const answers = await namespace.log.append(this.#numbered(first, drafts, before));
      // Where the outcome is unknown, the log knows that the number was used.
      const refused = answers.findIndex((answer) => "refused" in answer && answer.refused === "out-of-order");
      const taken = refused < 0 ? answers.length : refused;
      if (taken > 0) this.#taken(first + taken - 1, namespace);
      if (refused >= 0) takeBack(first + refused);
      return answers;
    } catch (error) {
      takeBack(first);
      throw error;
    } finally {
      this.#setbacks.delete(setback);
      this.#answered();
    }
  }

  async #handRepeats({ first, namespace, drafts }: Run, setback: Setback): Promise<readonly Appended[]> {
    try {
      return await this.#repeat(first, namespace, drafts, setback);
    } finally {
      this.#answered();
    }
  }

  /**
   * One that repeats what was still on its way, and was taken back then, is not settled: it is to come again. Unless the log
   * has it all the same, and only the answer was lost.
   */
  async #repeat(
    first: number,
    namespace: Namespace,
    drafts: readonly Unnumbered[],
    setback: Setback,
  ): Promise<readonly Appended[]> {
    try {
      const answers = await namespace.log.append(this.#numbered(first, drafts, "repeat"));
      const end = first + drafts.length;
      if (setback.lowest >= end) return answers;
      const last = Math.min(await namespace.log.lastNumber(this.#producer), end - 1);
      if (last >= setback.lowest) this.#taken(last, namespace);
      return answers.map((answer, i) => (first + i >= setback.lowest && first + i > last ? outOfOrder : answer));
    } finally {
      this.#setbacks.delete(setback);
    }
  }

  #watchSetbacks(): Setback {
    const setback: Setback = { lowest: Number.POSITIVE_INFINITY };
    this.#setbacks.add(setback);
    return setback;
  }

  #answered(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#pump();
    if (this.#inFlight === 0) for (const number of this.#used) if (number < this.#next) this.#used.delete(number);
  }

  #numbered(first: number, drafts: readonly Unnumbered[], before: number | "repeat"): readonly Draft[] {
    return drafts.map(({ channel, attributes, data, id }, i) => {
      const previous = before === "repeat" || i === 0 ? before : first + i - 1;
      return {
        channel,
        attributes,
        data,
        id,
        origin: { by: "producer", producer: this.#producer, number: first + i, previous },
      };
    });
  }

  /** A draft is in its log. So is all before it, also what was taken back because nobody knew whether it was. */
  #taken(number: number, namespace: Namespace): void {
    this.#advance(Math.max(this.#next, number + 1));
    this.#last.set(namespace, Math.max(this.#last.get(namespace) ?? 0, number));
  }

  /** A draft was not appended: its number is the next one again, and those that wait behind it are out of order. */
  #takeBack(number: number, namespace: Namespace, before: number): void {
    for (const setback of this.#setbacks) setback.lowest = Math.min(setback.lowest, number);
    this.#advance(number);
    this.#last.set(namespace, before);
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ repeats }) => repeats);
    for (const { repeats, drafts, answer } of waiting) if (!repeats) answer(drafts.map(() => outOfOrder));
  }
}
