/** What carries frames: a WebSocket, or in tests a pair of arrays. */
import type { Encoded } from "@dogear/shared";

export interface Transport {
  send(frame: Encoded): void;
  close(code: number): void;
}

/** What a transport reports, never from inside the call that opened it. After `closed` nothing more comes. */
export interface TransportListener {
  opened(): void;
  received(frame: string | ArrayBuffer): void;
  /** It is gone, or never came to be; `code` is a WebSocket close code. */
  closed(code: number, reason: string): void;
}

export type OpenTransport = (url: string, subprotocol: string, listener: TransportListener) => Transport;
