/** Watches the free space of a disk: a full one is best met before it is full. */
import { statfs } from "node:fs/promises";
import { type DogearError, dogearError } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";

/** Publishing stops while less than this is free, so that cursors can still be stored. */
const reserveBytes = 64 * 1_024 * 1_024;

const checkMs = 1_000;

/** What the disk that holds a folder has left. */
export type FreeBytes = (folder: string) => Promise<number>;

export const diskFreeBytes: FreeBytes = async (folder) => {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
};

export class Room {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #freeBytes: FreeBytes;
  /** What was free when last looked, less what was written since. */
  #free = 0;
  #cancel: () => void = () => {};

  constructor(folder: string, clock: Clock, freeBytes: FreeBytes) {
    this.#folder = folder;
    this.#clock = clock;
    this.#freeBytes = freeBytes;
  }

  get free(): number {
    return this.#free;
  }

  /** There is too little to publish anything. */
  get full(): boolean {
    return this.#free < reserveBytes;
  }

  /** Looks now, and once a second from then on. */
  async watch(): Promise<void> {
    this.#cancel = this.#clock.after(checkMs, () => void this.watch().catch(() => {}));
    await this.#look();
  }

  /** Takes room for a write; throws `disk-full` where there is too little. */
  take(bytes: number): void {
    if (this.#free - bytes < reserveBytes) throw dogearError("disk-full");
    this.#free -= bytes;
  }

  /**
   * Says what a failed write means: `disk-full` where the disk is, and otherwise nothing that a retry could mend. LMDB
   * reports a write that was cut short by a full disk as an input/output error, so the disk itself is asked.
   */
  async explain(error: unknown): Promise<DogearError | undefined> {
    await this.#look().catch(() => {});
    return this.full ? dogearError("disk-full", undefined, { cause: error }) : undefined;
  }

  stop(): void {
    this.#cancel();
  }

  async #look(): Promise<void> {
    this.#free = await this.#freeBytes(this.#folder);
  }
}
