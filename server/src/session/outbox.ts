/**
 * What a session sends. Small envelopes of one turn leave together in one WebSocket message, in order with the
 * frames of messages between them.
 *
 * The outbox bounds what waits for a slow reader: above `bytesMax` it is full, and those who send messages must wait
 * for `drained` and read from the log again.
 */
import type { HubEnvelope } from "@dogear/shared";
import { type Frame, frameBytes, type HubCodec } from "../codec/codec.ts";
import type { Metrics } from "../runtime/metrics.ts";
import type { Socket } from "./socket.ts";

export class Outbox {
  readonly #socket: Socket;
  readonly #codec: HubCodec;
  readonly #bytesMax: number;
  readonly #metrics: Metrics;
  #encoded: string[] = [];
  #wasFull = false;

  constructor(socket: Socket, codec: HubCodec, bytesMax: number, metrics: Metrics) {
    this.#socket = socket;
    this.#codec = codec;
    this.#bytesMax = bytesMax;
    this.#metrics = metrics;
  }

  /** What waits for the connection to take it. */
  get bytes(): number {
    return this.#socket.bufferedBytes;
  }

  get full(): boolean {
    return this.#socket.bufferedBytes >= this.#bytesMax;
  }

  /** Even answers are not being read; nothing more should be asked for. */
  get overfull(): boolean {
    return this.#socket.bufferedBytes >= 2 * this.#bytesMax;
  }

  /** Sends an envelope at the end of this turn, or before the next frame. */
  say(envelope: Exclude<HubEnvelope, { is: "messages" }>): void {
    if (this.#encoded.length === 0) queueMicrotask(() => this.flush());
    this.#encoded.push(this.#codec.encode(envelope));
  }

  /** Sends a frame with so many messages in it. */
  send(frame: Frame, messages: number): void {
    this.flush();
    this.#write(frame);
    this.#metrics.delivered(messages, frameBytes(frame));
  }

  flush(): void {
    if (this.#encoded.length === 0) return;
    const encoded = this.#encoded;
    this.#encoded = [];
    this.#write(this.#codec.join(encoded));
  }

  #write(frame: Frame): void {
    this.#socket.send(frame);
    this.#metrics.sent(frameBytes(frame));
    const { full } = this;
    if (full && !this.#wasFull) this.#metrics.limitHit("outboxBytesMax");
    this.#wasFull = full;
  }
}
