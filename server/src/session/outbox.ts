/**
 * What a session sends. Small envelopes of one turn leave together in one WebSocket message, in order with the
 * frames of messages between them.
 *
 * The outbox bounds what waits for a slow reader: above `bytesMax` it is full, and those who send messages must wait
 * for `drained` and read from the log again.
 */
import type { HubEnvelope } from "@dogear/shared";
import type { Frame, HubCodec } from "../codec/codec.ts";
import type { Socket } from "./socket.ts";

export class Outbox {
  readonly #socket: Socket;
  readonly #codec: HubCodec;
  readonly #bytesMax: number;
  #encoded: string[] = [];

  constructor(socket: Socket, codec: HubCodec, bytesMax: number) {
    this.#socket = socket;
    this.#codec = codec;
    this.#bytesMax = bytesMax;
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

  send(frame: Frame): void {
    this.flush();
    this.#socket.send(frame);
  }

  flush(): void {
    if (this.#encoded.length === 0) return;
    const encoded = this.#encoded;
    this.#encoded = [];
    this.#socket.send(this.#codec.join(encoded));
  }
}
