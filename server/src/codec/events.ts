/**
 * Server-sent events (the HTML standard, section 9.2): messages as they are read by an `EventSource`.
 *
 *     id: k2…:98221
 *     data: {"offset":98221,"channel":"sensors.hall.temperature","time":1795400010020,"data":{"celsius":21.4}}
 *
 * The id is a position, so that what a browser sends when it reconnects is where to go on. JSON text that its publisher broke
 * into lines is several lines of data, which a reader joins again.
 */
import type { Epoch, Gap, Offset, Pattern } from "@dogear/shared";
import type { Batch } from "../engine/engine.ts";
import type { Messages } from "../engine/messages.ts";
import { textOf } from "../engine/text.ts";

export class EventCodec {
  readonly #epoch: Epoch;

  /** Encodes what is of one log. */
  constructor(epoch: Epoch) {
    this.#epoch = epoch;
  }

  /** What every stream of a pattern is sent. */
  live(_pattern: Pattern, batch: Batch): Buffer {
    return this.batch(batch);
  }

  /** Messages, or where none is left, how far the stream has come. */
  batch({ through, messages }: Batch): Buffer {
    return messages.length === 0 ? this.position(through) : this.#messages(messages);
  }

  position(offset: Offset): Buffer {
    return Buffer.from(`${this.#idOf(offset)}\n`);
  }

  gap({ from, to, reason }: Gap, offset: Offset): Buffer {
    return Buffer.from(`event: gap\n${this.#idOf(offset)}data: ${JSON.stringify({ from, to, reason })}\n\n`);
  }

  #messages(messages: Messages): Buffer {
    const isBroken = messages.bytes.includes(lineFeed) || messages.bytes.includes(carriageReturn);
    const parts: Buffer[] = [];
    for (let i = 0; i < messages.length; i++) {
      const text = textOf(messages, i);
      const id = this.#idOf(messages.offsets[i] as Offset);
      parts.push(Buffer.from(`${id}data: `), isBroken ? inLines(text) : text, end);
    }
    return Buffer.concat(parts);
  }

  #idOf(offset: Offset): string {
    return `id: ${this.#epoch}:${offset}\n`;
  }
}

/** An event that is none of a message's or a gap's. */
export function namedEvent(name: string, data: unknown): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** How long a client waits before it comes back, from now on. */
export function retryAfter(ms: number): Buffer {
  return Buffer.from(`retry: ${ms}\n\n`);
}

/** Nothing, which keeps a connection from being taken for dead. */
export const heartbeat: Buffer = Buffer.from(":\n\n");

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const end = Buffer.from("\n\n");

function inLines(text: Buffer): Buffer {
  return Buffer.from(text.toString().replaceAll(/\r\n|\n|\r/g, "\ndata: "));
}
