/**
 * What a session sends. Small envelopes of one turn leave together in one WebSocket message, in order with the
 * frames of messages between them.
 *
 * The outbox bounds what waits for a slow reader: above `bytesMax` it is full, and those who send messages must wait
 * for `drained` and read from the log again.
 */
import { type Frame, frameBytes, type HubCodec, type Said } from "../codec/codec.ts";
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

  /** Sends an envelope once nothing more follows from what was heard, or before the next frame. */
  say(envelope: Said): void {
    // After all microtasks: what a hello and a subscribe in one message are answered takes several steps, and one write.
    if (this.#encoded.length === 0) process.nextTick(() => this.flush());
    this.#encoded.push(this.#codec.encode(envelope));
  }

  /** Sends a frame with so many messages in it, together with what was said before. */
  send(frame: Frame, messages: number): void {
    if (this.#encoded.length > 0) this.#write(this.#takeSaid(), true);
    this.#write(frame);
    this.#metrics.delivered(messages, frameBytes(frame));
  }

  flush(): void {
    if (this.#encoded.length > 0) this.#write(this.#takeSaid());
  }

  #takeSaid(): Frame {
    const encoded = this.#encoded;
    this.#encoded = [];
    return this.#codec.join(encoded);
  }

  #write(frame: Frame, isFollowed = false): void {
    this.#socket.send(frame, isFollowed);
    this.#metrics.sent(frameBytes(frame));
    const { full } = this;
    if (full && !this.#wasFull) this.#metrics.limitHit("outboxBytesMax");
    this.#wasFull = full;
  }
}
