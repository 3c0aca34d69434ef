/** Messages as the hub delivers them. */
import { type Channel, defaultType, type Epoch, type Offset, type WireMessage } from "@dogear/shared";

/** What every message has, however it is delivered. Several that get it share its `data`: treat it as read-only. */
export class StoredMessage<T = unknown> {
  /** Its place in its namespace's log. */
  declare readonly offset: Offset;
  /** The incarnation of the log its offset belongs to. */
  declare readonly epoch: Epoch;
  declare readonly channel: Channel;
  /** When it was published, in milliseconds since 1970 by the hub's clock. */
  declare readonly time: number;
  /** When it expires, by the same clock; nobody is given it after that. Undefined where it does not. */
  declare readonly expires: number | undefined;
  /** Its media type. */
  declare readonly type: string;
  declare readonly key: string | undefined;
  declare readonly headers: Readonly<Record<string, string>> | undefined;
  /** The JSON value that was published, or a `Uint8Array` where `type` is not JSON. */
  declare readonly data: T;

  /** @internal */
  constructor(wire: WireMessage, epoch: Epoch) {
    this.offset = wire.offset;
    this.epoch = epoch;
    this.channel = wire.channel;
    this.time = wire.time;
    this.expires = wire.expires;
    this.type = wire.type ?? defaultType;
    this.key = wire.key;
    this.headers = wire.headers;
    this.data = wire.data as T;
  }
}

/** A message as a subscription gets it. */
export class Message<T = unknown> extends StoredMessage<T> {
  readonly #acknowledge: (message: Message) => void;

  /** @internal */
  constructor(wire: WireMessage, epoch: Epoch, acknowledge: (message: Message) => void) {
    super(wire, epoch);
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
