/**
 * Prints messages, a line of JSON each, and acknowledges each when it has been written: not before, so that none is
 * lost with what waits in a buffer.
 */
import type { Writable } from "node:stream";
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
  #unwritten = 0;
  #allWritten: () => void = () => {};
  #live = false;
  #blocked = false;

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

  /** The handler of a subscription: the next message waits until there is room for it. */
  print(message: Message): Promise<void> | undefined {
    if (this.#hasEnded) return never;
    this.#unwritten++;
    const room = this.#output.write(`${JSON.stringify(lineOf(message))}\n`, (error) => {
      if (!error) message.acknowledge();
      if (--this.#unwritten === 0) this.#allWritten();
    });
    if (++this.#printed === this.#options.count) this.stop();
    return room ? undefined : this.#drained();
  }

  /** The subscription is live, or is not any more. */
  pace(live: boolean): void {
    this.#live = live;
    this.#checkCaughtUp();
  }

  /** Prints nothing more. */
  stop(): void {
    this.#hasEnded = true;
    this.#end();
  }

  /** Resolves when all it printed has been written and acknowledged, or cannot be. */
  written(): Promise<void> {
    return new Promise((resolve) => {
      this.#allWritten = resolve;
      if (this.#unwritten === 0) resolve();
    });
  }

  async #drained(): Promise<void> {
    this.#blocked = true;
    await new Promise((resolve) => this.#output.once("drain", resolve));
    this.#blocked = false;
    // Whatever else has arrived is handed over first.
    setImmediate(() => this.#checkCaughtUp());
  }

  /** A live subscription hands over at once what arrives, unless the output is full. */
  #checkCaughtUp(): void {
    if (this.#options.untilCaughtUp && this.#live && !this.#blocked) this.stop();
  }
}

const never = new Promise<void>(() => {});

/** A message in words of the protocol; bytes are base64. */
function lineOf({ offset, epoch, channel, time, type, key, headers, data }: Message): object {
  const json = data instanceof Uint8Array ? Buffer.from(data).toString("base64") : data;
  return { offset, epoch, channel, time, type: type === defaultType ? undefined : type, key, headers, data: json };
}
