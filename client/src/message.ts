/** A message as a subscriber gets it. */
import { type Channel, defaultType, type Epoch, type Offset, type WireMessage } from "@dogear/shared";

/**
 * One message. Several subscriptions that match share its `data`: treat it as read-only.
 */
export class Message<T = unknown> {
  /** Its place in its namespace's log. */
  declare readonly offset: Offset;
  /** The incarnation of the log its offset belongs to. */
  declare readonly epoch: Epoch;
  declare readonly channel: Channel;
  /** When it was published, in milliseconds since 1970 by the hub's clock. */
  declare readonly time: number;
  /** Its media type. */
  declare readonly type: string;
  declare readonly key: string | undefined;
  declare readonly headers: Readonly<Record<string, string>> | undefined;
  /** The JSON value that was published, or a `Uint8Array` where `type` is not JSON. */
  declare readonly data: T;
  readonly #acknowledge: (message: Message) => void;

  /** @internal */
  constructor(wire: WireMessage, epoch: Epoch, acknowledge: (message: Message) => void) {
    this.offset = wire.offset;
    this.epoch = epoch;
    this.channel = wire.channel;
    this.time = wire.time;
    this.type = wire.type ?? defaultType;
    this.key = wire.key;
    this.headers = wire.headers;
    this.data = wire.data as T;
    this.#acknowledge = acknowledge;
  }

  /**
   * Says that this message, and all before it in its subscription, have been handled. Needed with
   * `acknowledge: "manual"` only.
   */
  acknowledge(): void {
    this.#acknowledge(this);
  }
}
