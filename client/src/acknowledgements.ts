/**
 * When to acknowledge: at half a window, so that the hub never has to stop for a subscriber that keeps up, or within a
 * second, so that little is repeated after a crash; at once where its user acknowledges by hand. A timer runs only while
 * there is something to say.
 */
import type { Offset } from "@dogear/shared";
import type { Connection } from "./connection/driver.ts";
import type { Place } from "./place.ts";

/** Longest time that something handled stays unacknowledged. */
export const acknowledgeWithinMs = 1_000;

/** How much the hub may send beyond what was acknowledged. */
export interface Window {
  /** Default 1,000. */
  readonly messages?: number;
  /** Default 1 MiB. */
  readonly bytes?: number;
}

export class Acknowledgements {
  readonly #place: Place;
  readonly #window: Required<Window>;
  readonly #connection: Connection;
  readonly #send: (offset: Offset) => void;
  #acknowledged = 0;
  /** Handed out since the last acknowledgement. */
  #messages = 0;
  #bytes = 0;
  #disarm: (() => void) | undefined;
  /** How long to wait for more that can be said with it. */
  readonly #patienceMs: number;

  constructor(
    place: Place,
    window: Required<Window>,
    connection: Connection,
    patienceMs: number,
    send: (offset: Offset) => void,
  ) {
    this.#place = place;
    this.#window = window;
    this.#connection = connection;
    this.#patienceMs = patienceMs;
    this.#send = send;
  }

  /** Begins anew: everything up to here needs no acknowledgement. */
  begin(acknowledged: number): void {
    this.#acknowledged = acknowledged;
    this.stop();
  }

  /** Counts what was handed out, or was dropped because it had been before. */
  count(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes;
  }

  /** Something was finished: acknowledge it, soon or at once. */
  consider(atOnce = false): void {
    const { due } = this.#place;
    if (due <= this.#acknowledged) return;
    const { limits, runtime } = this.#connection;
    if (
      atOnce ||
      2 * this.#messages >= Math.min(this.#window.messages, limits.windowMessagesMax) ||
      2 * this.#bytes >= Math.min(this.#window.bytes, limits.windowBytesMax)
    ) {
      this.begin(due);
      this.#send(due as Offset);
    } else {
      this.#disarm ??= runtime.setTimer(this.#patienceMs, () => this.consider(true));
    }
  }

  stop(): void {
    this.#disarm?.();
    this.#disarm = undefined;
    this.#messages = this.#bytes = 0;
  }
}
