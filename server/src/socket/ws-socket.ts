/** A session's connection over `ws`. */
import type { Socket as Connection } from "node:net";
import type { WebSocket } from "ws";
import type { Frame } from "../codec/codec.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Socket } from "../session/socket.ts";
import type { TurnWrites } from "./turn-writes.ts";

/** How long a client may take to answer a close before its connection is cut. */
export const closeGraceMs = 2_000;

export class WsSocket implements Socket {
  readonly #ws: WebSocket;
  readonly #stream: Connection;
  readonly #clock: Clock;
  readonly #writes: TurnWrites;
  /** The turn in which it was written to last, and whether more than once. */
  #turn = -1;
  #isHeld = false;

  /**
   * `stream` is the connection that the WebSocket was upgraded from. Frames are written to it as they are, past
   * `ws`: they are framed already, once for all their receivers, and `ws` itself writes only pongs and closes.
   */
  constructor(ws: WebSocket, stream: Connection, clock: Clock, writes: TurnWrites) {
    this.#ws = ws;
    this.#stream = stream;
    this.#clock = clock;
    this.#writes = writes;
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  get receivedBytes(): number {
    return this.#stream.bytesRead;
  }

  send(frame: Frame, isFollowed = false): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    const turn = this.#writes.enter();
    const isFirst = turn !== this.#turn;
    if (isFirst) {
      this.#turn = turn;
      this.#isHeld = false;
    }
    // Pieces leave together.
    if (!this.#isHeld && (!isFirst || isFollowed || frame.length > 1)) {
      this.#isHeld = true;
      this.#writes.hold(this.#stream);
    }
    for (const piece of frame) this.#stream.write(piece);
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  close(code: number, reason: string): void {
    // A paused connection would never see the answer to its close.
    this.#ws.resume();
    this.#ws.close(code, reason);
    this.#ws.once(
      "close",
      this.#clock.after(closeGraceMs, () => this.#ws.terminate()),
    );
  }
}
