/**
 * Keeps one producer's drafts in order: the next number is taken, an old one is answered with its first result, one
 * that skips ahead is refused.
 *
 * A producer's drafts go to the logs of several namespaces. While some are on their way to one log, a draft for
 * another waits, so that at any moment only one log can have lost the end of the sequence; that is what makes the
 * highest number found in any log the last one settled.
 */
import type { Appended, Draft } from "../engine/engine.ts";
import type { Namespace } from "./namespace.ts";

/** A draft before its number is put to it. */
export type Unnumbered = Omit<Draft, "origin">;

const outOfOrder: Appended = { refused: "out-of-order" };

interface Waiting {
  readonly namespace: Namespace;
  readonly resume: () => void;
}

export class Sequencer {
  readonly #producer: string;
  #next: number;
  /** The last number handed to each namespace's log. */
  readonly #last: Map<Namespace, number>;
  /** The log that drafts are on their way to, and how many. */
  #current: Namespace | undefined;
  #inFlight = 0;
  /** Drafts that wait for their turn at another log, in order. */
  readonly #waiting: Waiting[] = [];

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

  /** Takes the client's word that every number up to here is settled. */
  settled(number: number): void {
    if (number >= this.#next) this.#next = number + 1;
  }

  /**
   * Uses up a number whose draft is refused for good, or recognised by something else. False where the number skips
   * ahead: then it is not used.
   */
  use(number: number): boolean {
    if (number === this.#next) this.#next++;
    return number < this.#next;
  }

  /** Appends drafts with consecutive numbers, the first of which is given, and answers each. */
  async append(first: number, namespace: Namespace, drafts: readonly Unnumbered[]): Promise<readonly Appended[]> {
    if (first > this.#next) return drafts.map(() => outOfOrder);
    const repeated = Math.min(drafts.length, this.#next - first);
    if (repeated > 0) {
      const repeats = this.#hand(first, namespace, drafts.slice(0, repeated), "repeat");
      const rest = drafts.slice(repeated);
      const appended = rest.length === 0 ? [] : this.append(first + repeated, namespace, rest);
      return [...(await repeats), ...(await appended)];
    }
    this.#next += drafts.length;
    if (this.#waiting.length > 0 || (this.#inFlight > 0 && this.#current !== namespace)) {
      await new Promise<void>((resume) => this.#waiting.push({ namespace, resume }));
      // One before it may have failed meanwhile.
      if (first >= this.#next) return drafts.map(() => outOfOrder);
    }
    return this.#hand(first, namespace, drafts, this.#last.get(namespace) ?? 0);
  }

  async #hand(
    first: number,
    namespace: Namespace,
    drafts: readonly Unnumbered[],
    before: number | "repeat",
  ): Promise<readonly Appended[]> {
    const numbered = drafts.map(({ channel, attributes, data, id }, i): Draft => {
      const previous = before === "repeat" || i === 0 ? before : first + i - 1;
      return {
        channel,
        attributes,
        data,
        id,
        origin: { by: "producer", producer: this.#producer, number: first + i, previous },
      };
    });
    if (before !== "repeat") this.#last.set(namespace, first + drafts.length - 1);
    this.#current = namespace;
    this.#inFlight++;
    try {
      const answers = await namespace.log.append(numbered);
      const refused = answers.findIndex((answer) => "refused" in answer);
      if (refused >= 0) this.#goBack(first + refused, namespace, refused === 0 ? before : first + refused - 1);
      return answers;
    } catch (error) {
      this.#goBack(first, namespace, before);
      throw error;
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) this.#resume();
    }
  }

  /** The draft was not appended, so its number is the next one again. */
  #goBack(number: number, namespace: Namespace, previous: number | "repeat"): void {
    // Of what was refused as a repeat, nothing was taken back; of several that failed, the first counts.
    if (previous === "repeat" || number >= this.#next) return;
    this.#next = number;
    this.#last.set(namespace, previous);
  }

  /** Lets those go that wait for the same log as the first of them. */
  #resume(): void {
    const namespace = this.#waiting[0]?.namespace;
    while (namespace !== undefined && this.#waiting[0]?.namespace === namespace) this.#waiting.shift()?.resume();
  }
}
