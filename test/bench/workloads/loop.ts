/** Keeps a number of messages on their way: for each that has arrived, another is sent. */
import { seconds } from "../measure.ts";
import type { Publisher } from "../system.ts";

/** How long each number is tried, and how much more must arrive by a larger one for it to be worth it. */
const tryS = 0.3;
const worthIt = 1.1;
/** A larger one is not tried where messages would be on their way for longer than this. */
const waitS = 0.5;
const factor = 4;
const inFlightMax = 4_096;

export class Loop {
  inFlight: number;
  #arrived: number;
  #waiting = false;
  #stopped = false;
  readonly #publisher: Publisher;

  constructor(publisher: Publisher, inFlight: number) {
    this.#publisher = publisher;
    this.#arrived = publisher.sent;
    this.inFlight = inFlight;
    this.#send();
  }

  /** So many more have arrived, everywhere they were to. What came in one turn of the event loop is replaced together. */
  arrived(count: number): void {
    this.#arrived += count;
    if (this.#waiting) return;
    this.#waiting = true;
    setImmediate(() => {
      this.#waiting = false;
      this.#send();
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Finds the number at which the system does best, by fours. Systems that put together what waits need many, and systems that
   * send each message alone would only queue them.
   */
  async findBest(): Promise<void> {
    let [best, bestRate] = [this.inFlight, await this.#rate()];
    let rate = bestRate;
    while (this.inFlight * factor <= inFlightMax && this.inFlight < waitS * rate) {
      this.inFlight *= factor;
      this.#send();
      rate = await this.#rate();
      if (rate > worthIt * bestRate) [best, bestRate] = [this.inFlight, rate];
    }
    this.inFlight = best;
  }

  /** A second's worth. */
  async #rate(): Promise<number> {
    // Until what was in flight before has arrived.
    const [before, limit] = [this.#arrived + this.inFlight, performance.now() + 2_000];
    while (this.#arrived < before && performance.now() < limit) await seconds(0.01);
    const [from, start] = [this.#arrived, performance.now()];
    await seconds(tryS);
    return ((this.#arrived - from) / (performance.now() - start)) * 1_000;
  }

  #send(): void {
    const more = this.#arrived + this.inFlight - this.#publisher.sent;
    if (more > 0 && !this.#stopped) this.#publisher.sendMore(more);
  }
}

/** Where `findBest` begins, for so many copies of each message. */
export function firstInFlight(copies: number): number {
  return Math.max(4, Math.min(256, 4 ** Math.round(Math.log(16_000 / copies) / Math.log(4))));
}
