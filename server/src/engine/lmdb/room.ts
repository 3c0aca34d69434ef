/** Watches the free space of a disk, because LMDB's map size is no quota and a full disk is best met before it is full. */
import { statfs } from "node:fs/promises";
import { type DogearError, dogearError } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";

/** Publishing stops while less than this is free, so that cursors can still be stored. */
const reserveBytes = 64 * 1_024 * 1_024;

const checkMs = 1_000;

export class Room {
  readonly #folder: string;
  readonly #clock: Clock;
  /** What was free when last looked, less what was written since. */
  #free = 0;
  #cancel: () => void = () => {};

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
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
    return this.#free < reserveBytes ? dogearError("disk-full", undefined, { cause: error }) : undefined;
  }

  stop(): void {
    this.#cancel();
  }

  async #look(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    this.#free = bavail * bsize;
  }
}
