/**
 * Group commit: the drafts that arrive while one commit is on its way to the disk go together in the next one. One
 * commit is in flight at a time, so a draft waits for one and a half commits on average and two at most.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Appended, Draft } from "./engine.ts";

interface Call {
  readonly drafts: readonly Draft[];
  readonly resolve: (answers: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes of payload after which a commit is full. */
const commitBytesMax = 4 * 1_024 * 1_024;

export class CommitQueue {
  readonly #commit: (drafts: readonly Draft[]) => Promise<readonly Appended[]>;
  readonly #clock: Clock;
  #waiting: Call[] = [];
  #running: Promise<void> | undefined;

  constructor(commit: (drafts: readonly Draft[]) => Promise<readonly Appended[]>, clock: Clock) {
    this.#commit = commit;
    this.#clock = clock;
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ drafts, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Everything that the sockets hold ready now shares the first commit.
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    while (this.#waiting.length > 0) await this.#commitNext();
    this.#running = undefined;
  }

  async #commitNext(): Promise<void> {
    const calls = this.#take();
    try {
      const answers = await this.#commit(calls.flatMap(({ drafts }) => drafts));
      let at = 0;
      for (const { drafts, resolve } of calls) {
        resolve(answers.slice(at, at + drafts.length));
        at += drafts.length;
      }
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }

  #take(): readonly Call[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < commitBytesMax) {
      for (const { data } of (this.#waiting[count] as Call).drafts) bytes += data.length;
      count++;
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }
}
