/**
 * The newest stretch of a log or a feed, in memory and bounded in bytes: what followers, and readers who are nearly
 * there, are served from.
 */
import type { Offset } from "@dogear/shared";
import type { Batch } from "./engine.ts";
import { type Messages, MessagesBuilder } from "./messages.ts";

export interface Piece {
  readonly through: Offset;
  readonly messages: Messages;
}

/** What one batch or page taken from the tail may hold. */
export interface TailBudget {
  readonly messages: number;
  readonly bytes: number;
}

export class Tail {
  readonly #bytesMax: number;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  /** The tail holds everything after this … */
  #start: Offset;
  /** … up to and including this. */
  #through: Offset;
  #waiting: (() => void)[] = [];
  /** The signals that wake those who wait. */
  readonly #watched = new WeakSet<AbortSignal>();

  constructor(start: Offset, bytesMax: number) {
    this.#start = start;
    this.#through = start;
    this.#bytesMax = bytesMax;
  }

  get start(): Offset {
    return this.#start;
  }

  get through(): Offset {
    return this.#through;
  }

  push(messages: Messages, through: Offset): void {
    this.#through = through;
    if (messages.length > 0) {
      const piece = { through, messages: messages.inMemoryOfTheirOwn() };
      this.#pieces.push(piece);
      this.#bytes += memoryOf(piece);
      this.#trim();
    }
    this.#wake();
  }

  /** What comes after an offset, as much as the budget allows; `undefined` where the tail does not reach back so far. */
  since(after: Offset, budget: TailBudget): Batch | undefined {
    if (after < this.#start) return undefined;
    const builder = new MessagesBuilder();
    for (let p = this.#pieceAfter(after); p < this.#pieces.length; p++) {
      const { messages } = this.#pieces[p] as Piece;
      const from = messages.indexAfter(after);
      const to = fitting(messages, from, budget, builder);
      builder.add(messages, from, to);
      if (to < messages.length) {
        return { after, through: ((messages.offsets[to] as number) - 1) as Offset, messages: builder.build() };
      }
    }
    return { after, through: Math.max(after, this.#through) as Offset, messages: builder.build() };
  }

  /** The pieces that hold something after an offset, which the tail must reach back to. */
  pieces(after: Offset): readonly Piece[] {
    return this.#pieces.slice(this.#pieceAfter(after));
  }

  /** Resolves when the tail has grown past an offset, or the signal aborts. */
  async grownPast(after: Offset, signal?: AbortSignal): Promise<void> {
    if (signal !== undefined && !this.#watched.has(signal)) {
      this.#watched.add(signal);
      signal.addEventListener("abort", () => this.#wake(), { once: true });
    }
    while (this.#through <= after && !signal?.aborted) {
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #pieceAfter(after: Offset): number {
    let p = this.#pieces.length;
    while (p > 0 && (this.#pieces[p - 1] as Piece).through > after) p--;
    return p;
  }

  #trim(): void {
    while (this.#bytes > this.#bytesMax && this.#pieces.length > 1) {
      const piece = this.#pieces.shift() as Piece;
      this.#bytes -= memoryOf(piece);
      this.#start = piece.through;
    }
  }
}

/** What a piece, and each of its messages, take beside the text, in bytes: where there is little text, most of it. */
const pieceBytes = 512;
const messageBytes = 64;

export function memoryOf({ messages }: Piece): number {
  return messages.byteLength + messages.length * messageBytes + pieceBytes;
}

/** How far from `from` on the messages fit beside what the builder holds; the very first one always does. */
export function fitting(messages: Messages, from: number, budget: TailBudget, taken: MessagesBuilder): number {
  const start = messages.start(from);
  let to = from;
  while (
    to < messages.length &&
    (taken.length + to - from < budget.messages || taken.length + to - from === 0) &&
    (taken.bytes + (messages.ends[to] as number) - start <= budget.bytes || taken.length + to - from === 0)
  ) {
    to++;
  }
  return to;
}
