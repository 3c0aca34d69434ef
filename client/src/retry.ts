/** Asking again for what was refused for now. */
import { ceilingMs } from "./connection/backoff.ts";
import type { Connection } from "./connection/driver.ts";

/** However many ask for it, one attempt; and each later than the one before, until something succeeds. */
export class Retry {
  readonly #connection: Connection;
  readonly #run: () => void;
  #failures = 0;
  #cancel: (() => void) | undefined;

  constructor(connection: Connection, run: () => void) {
    this.#connection = connection;
    this.#run = run;
  }

  get isWaiting(): boolean {
    return this.#cancel !== undefined;
  }

  later(): void {
    const { runtime, backoff } = this.#connection;
    this.#cancel ??= runtime.setTimer(runtime.random() * ceilingMs(backoff, this.#failures++), () => {
      this.stop();
      this.#run();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  reset(): void {
    this.#failures = 0;
  }
}
