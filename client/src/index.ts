/**
 * Dogear's SDK: publish, subscribe, and resume from where you were.
 *
 * @packageDocumentation
 */
import { type ConnectOptions, Dogear } from "./client.ts";
import { systemRuntime } from "./runtime.ts";

/**
 * Connects to a hub, and stays connected until `close`. Returns at once and works offline from the first line: what is
 * published waits, and subscriptions begin when the hub is there.
 *
 * @param url `wss://…` or `ws://…`; `https://…` and `http://…` mean the same.
 * @example
 * const dogear = connect("wss://hub.example.com", { subscriber: "dashboard-7" });
 * await dogear.publish("sensors.kitchen.temperature", { celsius: 21.4 });
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Dogear {
  return new Dogear(String(url), options, systemRuntime(options.WebSocket ?? WebSocket));
}

export type {
  Channel,
  ClientLimits,
  Durability,
  Epoch,
  ErrorCode,
  Gap,
  GapReason,
  GroupPolicy,
  Limits,
  Offset,
  Pattern,
  Position,
} from "@dogear/shared";
export { DogearError, isChannel, isPattern } from "@dogear/shared";
export type { Window } from "./acknowledgements.ts";
export type { ConnectOptions, Dogear, DogearEvents } from "./client.ts";
export type { ConnectionState } from "./connection/driver.ts";
export type { From } from "./from.ts";
export { GapError } from "./gap.ts";
export type { Message, StoredMessage } from "./message.ts";
export type { Draft, Published, PublishOptions, QueueOptions, Scheduled, ScheduleOptions } from "./publisher.ts";
export type { Resumed } from "./resumption.ts";
export type { Handler, SubscribeOptions, Subscription, SubscriptionEvents } from "./subscription.ts";
export type { FetchToken } from "./token.ts";
export type { WebSocketConstructor, WebSocketLike } from "./transport/websocket.ts";
export type { LeasedMessage, RetryOptions, Worker, WorkerEvents, WorkHandler, WorkOptions } from "./worker.ts";
