/** Watches the free space of a disk, because LMDB's map size is no quota and a full disk is best met before it is full. */
import { statfs } from "node:fs/promises";
import { DogearError } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";

/** Publishing stops while less than this is free, so that cursors can still be stored. */
const reserveBytes = 64 * 1_024 * 1_024;

const checkMs = 1_000;

export class Room {
  readonly #folder: string;
  readonly #clock: Clock;
  #full = false;
  #cancel: () => void = () => {};

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Looks now, and once a second from then on. */
  async watch(): Promise<void> {
    this.#cancel = this.#clock.after(checkMs, () => void this.watch().catch(() => {}));
    const { bavail, bsize } = await statfs(this.#folder);
    this.#full = bavail * bsize < reserveBytes;
  }

  /** Throws `disk-full` where there was too little room when last looked. */
  require(): void {
    if (this.#full) throw new DogearError("disk-full");
  }

  stop(): void {
    this.#cancel();
  }
}
