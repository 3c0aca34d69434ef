/**
 * How much was sent to a subscription and not acknowledged, against how much may be.
 *
 * One mechanism is the flow control, the browser's memory bound and the pace of the cursor.
 */
import type { Offset } from "@dogear/shared";

export interface WindowSize {
  readonly messages: number;
  readonly bytes: number;
}

interface Sent {
  /** The offset whose acknowledgement is that of all of it. */
  readonly last: Offset;
  readonly messages: number;
  readonly bytes: number;
}

export class Window {
  readonly size: WindowSize;
  /** What was sent, oldest first. An entry counts until all of it is acknowledged. */
  readonly #sent: Sent[] = [];
  #messages = 0;
  #bytes = 0;

  constructor(size: WindowSize) {
    this.size = size;
  }

  /** Nothing that was sent is unacknowledged, nor any gap that was told. */
  get settled(): boolean {
    return this.#sent.length === 0;
  }

  /** What may be sent now; `undefined` where that is nothing. An empty window takes one message of any size. */
  get room(): WindowSize | undefined {
    const messages = this.size.messages - this.#messages;
    const bytes = this.size.bytes - this.#bytes;
    return messages > 0 && (bytes > 0 || this.#messages === 0) ? { messages, bytes } : undefined;
  }

  /** Whether this much fits now. */
  admits(messages: number, bytes: number): boolean {
    const { room } = this;
    return (
      room !== undefined &&
      messages <= room.messages &&
      (bytes <= room.bytes || (this.#messages === 0 && messages === 1))
    );
  }

  sent(last: Offset, messages: number, bytes: number): void {
    this.#sent.push({ last, messages, bytes });
    this.#messages += messages;
    this.#bytes += bytes;
  }

  acknowledged(through: Offset): void {
    let count = 0;
    for (const sent of this.#sent) {
      if (sent.last > through) break;
      this.#messages -= sent.messages;
      this.#bytes -= sent.bytes;
      count++;
    }
    this.#sent.splice(0, count);
  }
}
