/**
 * What a failed write leads to. A full disk passes, and is told to those who wanted the write. After anything else the
 * disk is not to be trusted, nor what memory holds of it: whether the write is there only the next start can tell.
 */
import { DogearError, dogearError } from "@dogear/shared";
import type { Logger } from "../../runtime/logger.ts";
import type { Room } from "./room.ts";

export interface TroubleParts {
  readonly room: Room;
  readonly logger: Logger;
  /** Called with the error. The process must stop. */
  readonly fatal: (error: unknown) => void;
}

export class Trouble {
  readonly #parts: TroubleParts;
  #isFatal = false;

  constructor(parts: TroubleParts) {
    this.#parts = parts;
  }

  /** The process is to stop. */
  get isFatal(): boolean {
    return this.#isFatal;
  }

  /** Throws where the process is to stop: nothing more may be said to be on the disk. */
  check(): void {
    if (this.#isFatal) throw dogearError("unavailable");
  }

  /** Resolves with what to tell those who wanted the write; never rejects. */
  async meet(what: string, error: unknown): Promise<DogearError> {
    // It was met already, further down.
    if (error instanceof DogearError) return error;
    const { room, logger, fatal } = this.#parts;
    const explained = await room.explain(error);
    if (explained !== undefined) return explained;
    // What fails afterwards fails for the same reason.
    if (!this.#isFatal) {
      this.#isFatal = true;
      logger.error("disk.failed", { what, error });
      fatal(error);
    }
    return dogearError("unavailable", undefined, { cause: error });
  }
}
