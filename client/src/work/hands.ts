/** Calls a handler, for so many messages at a time, and settles what it leaves unsettled. */
import type { WorkHandler } from "../worker.ts";
import { shortened } from "./held-message.ts";
import type { Lease } from "./lease.ts";

export class Hands {
  readonly #handler: WorkHandler;
  readonly #concurrency: number;
  readonly #freed: () => void;
  #busy = 0;

  /** @param freed Is told when a handler is done. */
  constructor(handler: WorkHandler, concurrency: number, freed: () => void) {
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#freed = freed;
  }

  get areBusy(): boolean {
    return this.#busy > 0;
  }

  get areFree(): boolean {
    return this.#busy < this.#concurrency;
  }

  async work(lease: Lease): Promise<void> {
    this.#busy++;
    try {
      await this.#handler(lease.message);
      void lease.settle({ outcome: "ack" });
    } catch (error) {
      void lease.settle({ outcome: "retry", error: shortened(told(error)) });
    }
    this.#busy--;
    this.#freed();
  }
}

/** What an error says, if it says anything. */
function told(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
