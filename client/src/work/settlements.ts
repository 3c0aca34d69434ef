/** What is said of leases: gathered for a turn, and said in as few envelopes as there are different things to say. */

import type { Words } from "./held-message.ts";
import type { Lease, Statement } from "./lease.ts";

export type Say = (words: Words, fences: number[]) => void;

export class Settlements {
  readonly #say: Say;
  #isOpen = false;
  #waiting: [Lease, Statement][] = [];

  constructor(say: Say) {
    this.#say = say;
  }

  /** Whether there is a session in which this member works. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** The session is over. What is not confirmed is kept by its lease, which says it again in the next one. */
  close(): void {
    this.#isOpen = false;
    this.#waiting = [];
  }

  add(lease: Lease, statement: Statement): void {
    if (this.#isOpen && this.#waiting.push([lease, statement]) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const envelopes = new Map<string, { words: Words; fences: number[] }>();
    for (const [lease, statement] of this.#waiting) {
      const { words } = statement;
      const key = JSON.stringify(words);
      const envelope = envelopes.get(key) ?? { words, fences: [] };
      envelopes.set(key, envelope);
      envelope.fences.push(lease.fence);
      statement.sent = true;
    }
    this.#waiting = [];
    // What was said first of one lease must be said first: an extension before the settlement that may follow it.
    const first = ({ words }: { words: Words }): number => (words.outcome === "extend" ? 0 : 1);
    for (const { words, fences } of [...envelopes.values()].sort((a, b) => first(a) - first(b)))
      this.#say(words, fences);
  }
}
