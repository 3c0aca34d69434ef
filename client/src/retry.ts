/** Asking again for what was refused for now. */
import { type Backoff, ceilingMs } from "./connection/backoff.ts";
import type { Runtime } from "./runtime.ts";

/** However many ask for it, one attempt; and each later than the one before, until something succeeds. */
export class Retry {
  readonly #runtime: Runtime;
  readonly #backoff: Backoff;
  readonly #run: () => void;
  #failures = 0;
  #cancel: (() => void) | undefined;

  constructor(runtime: Runtime, backoff: Backoff, run: () => void) {
    this.#runtime = runtime;
    this.#backoff = backoff;
    this.#run = run;
  }

  get isPending(): boolean {
    return this.#cancel !== undefined;
  }

  later(): void {
    this.#cancel ??= this.#runtime.setTimer(this.#runtime.random() * ceilingMs(this.#backoff, this.#failures++), () => {
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
