/** The transport over a WebSocket, whose constructor is passed in: the browser's, Node's, or that of `ws`. */
import type { Encoded } from "@dogear/shared";
import type { OpenTransport } from "./transport.ts";

/** As much of the WebSocket interface as the SDK uses, so that `ws` and others fit. */
export interface WebSocketLike {
  binaryType: string;
  send(data: Encoded): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

export function openWebSocket(WebSocket: WebSocketConstructor): OpenTransport {
  return (url, subprotocol, { opened, received, closed }) => {
    const socket = new WebSocket(url, subprotocol);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", opened);
    socket.addEventListener("message", ({ data }) => received(data as string | ArrayBuffer));
    socket.addEventListener("close", ({ code, reason }) => closed(code, reason));
    // A close always follows and says more; but `ws` throws what nobody listens to.
    socket.addEventListener("error", () => {});
    return socket;
  };
}
