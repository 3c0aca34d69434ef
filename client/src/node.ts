/** The SDK in Node: the same, over the WebSocket of `ws` where Node has none of its own. */
import { WebSocket as WsWebSocket } from "ws";
import type { ConnectOptions, Dogear } from "./client.ts";
import { connect as connectWith } from "./index.ts";

export type * from "./index.ts";
export { DogearError, GapError, isChannel, isPattern } from "./index.ts";

/** Connects to a hub; see `connect` of the browser's entry. */
export function connect(url: string | URL, options: ConnectOptions = {}): Dogear {
  const WebSocket = options.WebSocket ?? globalThis.WebSocket ?? WsWebSocket;
  return connectWith(url, { ...options, WebSocket });
}
