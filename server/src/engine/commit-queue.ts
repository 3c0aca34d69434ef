/**
 * Group commit: what is handed in while one commit is on its way to the disk goes together in the next one. One commit
 * is in flight at a time, so a request waits for one and a half commits on average and two at most.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Draft } from "./engine.ts";

/** Makes the commit of several requests, and answers each. */
export type Commit<Request, Answer> = (requests: readonly Request[]) => Promise<readonly Answer[]>;

interface Waiting<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes after which a commit is full. */
const commitBytesMax = 4 * 1_024 * 1_024;

export class CommitQueue<Request, Answer> {
  readonly #commit: Commit<Request, Answer>;
  readonly #bytesOf: (request: Request) => number;
  readonly #clock: Clock;
  #waiting: Waiting<Request, Answer>[] = [];
  #running: Promise<void> | undefined;

  constructor(commit: Commit<Request, Answer>, bytesOf: (request: Request) => number, clock: Clock) {
    this.#commit = commit;
    this.#bytesOf = bytesOf;
    this.#clock = clock;
  }

  submit(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
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
    const taken = this.#take();
    try {
      const answers = await this.#commit(taken.map(({ request }) => request));
      for (const [i, { resolve }] of taken.entries()) resolve(answers[i] as Answer);
    } catch (error) {
      for (const { reject } of taken) reject(error);
    }
  }

  #take(): readonly Waiting<Request, Answer>[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < commitBytesMax) {
      bytes += this.#bytesOf((this.#waiting[count] as Waiting<Request, Answer>).request);
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

/** Makes one commit of the items of several requests, and hands each request its share of the answers. */
export function together<Item, Answer>(commit: Commit<Item, Answer>): Commit<readonly Item[], readonly Answer[]> {
  return async (requests) => {
    const items: Item[] = [];
    for (const request of requests) for (const item of request) items.push(item);
    const answers = await commit(items);
    let at = 0;
    return requests.map(({ length }) => {
      at += length;
      return answers.slice(at - length, at);
    });
  };
}

/** What the payloads of one append come to. */
export function payloadBytes(drafts: readonly Draft[]): number {
  return drafts.reduce((sum, { data }) => sum + data.length, 0);
}
