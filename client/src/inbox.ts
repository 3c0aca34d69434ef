/** What has arrived for a subscription and was not handed out yet, in order: messages and gaps. */
import type { Epoch, Gap, Position, WireMessage } from "@dogear/shared";
import { Message } from "./message.ts";

/** A gap that waits its turn behind the messages before it. */
export interface Hole {
  readonly gap: Gap;
  readonly position: Position;
}

interface Batch {
  readonly messages: readonly WireMessage[];
  readonly epoch: Epoch;
  readonly bytes: number;
  next: number;
}

/** Not bounded here: the window bounds what the hub sends ahead. */
export class Inbox {
  /** About what the message last taken took on the wire. */
  bytes = 0;
  readonly #acknowledge: (message: Message) => void;
  readonly #waiting: (Batch | Hole)[] = [];

  constructor(acknowledge: (message: Message) => void) {
    this.#acknowledge = acknowledge;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Adds messages from the `next` on. */
  add(messages: readonly WireMessage[], next: number, epoch: Epoch, bytes: number): void {
    if (next < messages.length) this.#waiting.push({ messages, epoch, bytes, next });
  }

  addGap(hole: Hole): void {
    this.#waiting.push(hole);
  }

  take(): Message | Hole | undefined {
    const head = this.#waiting[0];
    if (!head || "gap" in head) {
      this.#waiting.shift();
      return head;
    }
    const wire = head.messages[head.next++] as WireMessage;
    if (head.next === head.messages.length) this.#waiting.shift();
    this.bytes = head.bytes;
    return new Message(wire, head.epoch, this.#acknowledge);
  }

  clear(): void {
    this.#waiting.length = 0;
  }
}
