/**
 * One direction of a connection through a proxy, and what a network may do to it. Bytes arrive in order or not at all: TCP
 * sees to that, whatever happens beneath it.
 */
import type { Socket } from "node:net";

export interface Conditions {
  /** Ends the connection behind so many bytes, which still arrive. */
  readonly cutAfterBytes?: number;
  /** How long everything takes, and how much longer by chance. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Arrives in pieces of so many bytes. */
  readonly pieceBytes?: number;
  /** What comes within so long arrives in one piece. */
  readonly gatherMs?: number;
}

export interface PipeParts {
  readonly from: Socket;
  readonly to: Socket;
  readonly conditions: Conditions;
  readonly random: () => number;
}

export class Pipe {
  readonly from: Socket;
  loses = false;
  readonly #parts: PipeParts;
  /** When the last byte that is on its way arrives. */
  #lastDue = 0;
  /** What is on its way. Timers of different lengths do not keep their order. */
  readonly #late: Buffer[] = [];
  #bytes = 0;
  #holds = false;
  /** What is kept until it is released; nothing where nothing is kept. */
  #kept: Buffer[] | undefined;
  #gathered: Buffer[] = [];
  /** Pieces go out one after the other. */
  #going = Promise.resolve();

  constructor(parts: PipeParts) {
    const { from, to } = parts;
    this.from = from;
    this.#parts = parts;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    to.on("drain", () => {
      if (!this.#holds) from.resume();
    });
    from.on("close", () => to.destroy());
    // What went wrong is in the close that follows.
    from.on("error", () => {});
  }

  /** Lets nothing through, so that it backs up where it comes from. */
  hold(): void {
    this.#holds = true;
    this.from.pause();
  }

  /** Lets nothing through, and keeps it, also when whoever sent it is gone. */
  keep(): void {
    this.#kept ??= [];
  }

  get keptBytes(): number {
    return (this.#kept ?? []).reduce((sum, { length }) => sum + length, 0);
  }

  release(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const bytes of kept) this.#pass(bytes);
    this.#holds = false;
    this.from.resume();
  }

  #take(bytes: Buffer): void {
    const { delayMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = this.#parts.conditions;
    if (delayMs + jitterMs === 0 && bytesPerSecond === Number.POSITIVE_INFINITY) return this.#gather(bytes);
    const now = performance.now();
    const arrives = now + delayMs + jitterMs * this.#parts.random();
    this.#lastDue = Math.max(arrives, this.#lastDue) + (1_000 * bytes.length) / bytesPerSecond;
    this.#late.push(bytes);
    setTimeout(() => this.#gather(this.#late.shift() as Buffer), this.#lastDue - now);
  }

  #gather(bytes: Buffer): void {
    const { gatherMs } = this.#parts.conditions;
    if (gatherMs === undefined) return this.#pass(bytes);
    if (this.#gathered.push(bytes) > 1) return;
    setTimeout(() => this.#pass(Buffer.concat(this.#gathered.splice(0))), gatherMs);
  }

  #pass(bytes: Buffer): void {
    const { to, conditions } = this.#parts;
    if (this.#kept !== undefined) return void this.#kept.push(bytes);
    if (this.loses || to.destroyed || to.writableEnded) return;
    const { cutAfterBytes = Number.POSITIVE_INFINITY } = conditions;
    const passing = bytes.subarray(0, cutAfterBytes - this.#bytes);
    this.#bytes += passing.length;
    this.#write(passing);
    if (this.#bytes < cutAfterBytes) return;
    // Whoever is to get the last bytes gets them, and then the end, since a reset could overtake them.
    this.#going = this.#going.then(() => void to.end(() => this.from.resetAndDestroy()));
  }

  #write(bytes: Buffer): void {
    const { to, conditions } = this.#parts;
    const { pieceBytes } = conditions;
    if (pieceBytes !== undefined) this.#going = this.#going.then(() => writePieces(to, bytes, pieceBytes));
    else if (!to.write(bytes)) this.from.pause();
  }
}

/** A turn of the event loop for each, so that whoever reads them meanwhile gets them one by one. */
async function writePieces(to: Socket, bytes: Buffer, pieceBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length && !to.destroyed; at += pieceBytes) {
    to.write(bytes.subarray(at, at + pieceBytes));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
