/**
 * Prints messages, a line of JSON each. A message is handled, and so acknowledged, when its line has been written: not
 * before, so that none is lost with what waits in a buffer.
 */
import type { Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Message } from "@dogear/client";
import { defaultType } from "@dogear/shared";
import { CommandError } from "./usage.ts";

export interface PrinterOptions {
  /** It ends after this many messages. */
  readonly count: number;
  /** It ends when there is nothing more to print for now. */
  readonly untilCaughtUp: boolean;
}

export class Printer {
  /** Resolves when it prints nothing more, or nobody reads on; rejects where the output fails otherwise. */
  readonly ended: Promise<void>;
  readonly #output: Writable;
  readonly #options: PrinterOptions;
  #end: () => void = () => {};
  #hasEnded = false;
  #printed = 0;
  /** The line on its way out: whether it got there. */
  #writing: Promise<boolean> | undefined;
  #live = false;

  constructor(output: Writable, options: PrinterOptions) {
    this.#output = output;
    this.#options = options;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      output.once("error", (error: NodeJS.ErrnoException) => {
        this.#hasEnded = true;
        if (error.code === "EPIPE") resolve();
        else reject(new CommandError("internal", `Standard output cannot be written: ${error.message}.`));
      });
    });
  }

  /** The handler of a subscription. What cannot be printed any more is never done. */
  async print(message: Message): Promise<void> {
    if (this.#hasEnded) return never;
    this.#writing = this.#write(`${JSON.stringify(lineOf(message))}\n`);
    if (!(await this.#writing)) return never;
    this.#writing = undefined;
    if (++this.#printed === this.#options.count) this.stop();
    else if (this.#live) void this.#endWhereCaughtUp();
  }

  /** The subscription is live, or is not any more. */
  pace(live: boolean): void {
    this.#live = live;
    void this.#endWhereCaughtUp();
  }

  /** Prints nothing more. */
  stop(): void {
    this.#hasEnded = true;
    this.#end();
  }

  /** Resolves when the last line has been written, and its message acknowledged. */
  async written(): Promise<void> {
    await this.#writing;
    await setImmediate();
  }

  #write(line: string): Promise<boolean> {
    return new Promise((resolve) => this.#output.write(line, (error) => resolve(!error)));
  }

  /** A live subscription hands over what has arrived without delay: where it does not, there is no more. */
  async #endWhereCaughtUp(): Promise<void> {
    if (!this.#options.untilCaughtUp) return;
    await setImmediate();
    if (this.#live && this.#writing === undefined) this.stop();
  }
}

const never = new Promise<void>(() => {});

/** A message in words of the protocol. */
export function lineOf({ offset, epoch, channel, time, expires, type, key, headers, data }: Message): object {
  const named = type === defaultType ? undefined : type;
  return { offset, epoch, channel, time, expires, type: named, key, headers, data: inJson(data) };
}

/** Bytes are base64. */
export function inJson(data: unknown): unknown {
  return data instanceof Uint8Array ? Buffer.from(data).toString("base64") : data;
}
