/**
 * A subscription at work: what the hub says about it comes in on one side, its user takes messages on the other, and
 * its place moves when they are done.
 */
import {
  defaultWindow,
  type Gap,
  type GapEnvelope,
  type Messages,
  type Position,
  type Subscribe,
  type Subscribed,
} from "@dogear/shared";
import { Acknowledgements, acknowledgeWithinMs, type Window } from "./acknowledgements.ts";
import type { Connection } from "./connection/driver.ts";
import { Deferred } from "./deferred.ts";
import { Engagement } from "./engagement.ts";
import { emitter } from "./events.ts";
import { onWire } from "./from.ts";
import { GapError } from "./gap.ts";
import { Message } from "./message.ts";
import { Place } from "./place.ts";
import type { Handler, SubscribeOptions, Subscription, SubscriptionEvents } from "./subscription.ts";

const emit = emitter<SubscriptionEvents>();

export interface SubscriptionListener {
  ended(subscription: OpenSubscription): void;
  /** An error that nobody waits for. */
  readonly report: (error: unknown) => void;
}

/** What has arrived and was not handed out: a message, and about how many bytes of the wire it took … */
interface Arrival {
  readonly message: Message;
  readonly bytes: number;
}

/** … or a gap, which waits its turn behind the messages before it. */
interface Hole {
  readonly gap: Gap;
  readonly position: Position;
}

export class OpenSubscription extends Engagement<SubscriptionEvents, Position> implements Subscription {
  /** Its number on the wire. */
  number = 0;
  /** Resolves when the hub has let go of it, too. */
  readonly left: Deferred<void> = new Deferred();
  readonly #options: SubscribeOptions;
  readonly #window: Required<Window>;
  readonly #handler: Handler | undefined;
  readonly #connection: Connection;
  readonly #listener: SubscriptionListener;
  readonly #place = new Place();
  /** In order. Not bounded here: the window bounds what the hub sends ahead. */
  #inbox: (Arrival | Hole)[] = [];
  readonly #acknowledgements: Acknowledgements;
  #state: Subscription["state"] = "subscribing";
  /** The last message handed out, until it is finished. */
  #handed: Message | undefined;
  /** Its messages are being taken: by its handler, now, or by a loop. */
  #taken = false;
  /** Resolved when there may be something to take, for a loop that waits. */
  #arrival: Deferred<void> | undefined;
  readonly #abort = (): void => this.end();

  constructor(
    connection: Connection,
    listener: SubscriptionListener,
    pattern: string,
    options: SubscribeOptions,
    handler: Handler | undefined,
  ) {
    super(pattern, listener.report);
    this.#connection = connection;
    this.#listener = listener;
    this.#options = options;
    this.#window = { ...defaultWindow, ...options.window };
    this.#handler = handler;
    this.#acknowledgements = new Acknowledgements(
      this.#place,
      this.#window,
      connection,
      // Whoever acknowledges by hand may have a reason for each, so that it is said as soon as the turn is over.
      options.acknowledge === "manual" ? 0 : acknowledgeWithinMs,
      (offset) => connection.say({ is: "ack", subscription: this.number, offset }),
    );
    options.signal?.addEventListener("abort", this.#abort);
  }

  get state(): Subscription["state"] {
    return this.#state;
  }

  get position(): Position | undefined {
    return this.#place.finished;
  }

  unsubscribe(): Promise<void> {
    this.end();
    return this.left.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unsubscribe();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    if (this.#handler || this.#taken) throw new TypeError("Its messages are already taken.");
    this.#taken = true;
    const { ended } = this;
    try {
      for (;;) {
        const message = this.#take();
        if (message) {
          yield message;
          this.#finishAutomatically(message);
        } else if (this.#state === "ended") {
          return await ended;
        } else {
          this.#arrival = new Deferred();
          await this.#arrival.promise;
        }
      }
    } finally {
      this.end();
    }
  }

  /** Asks the hub for it, first and after each reconnect. */
  subscribe(): void {
    const { cursor, from, reset } = this.#options;
    const { received, finished } = this.#place;
    const envelope: Subscribe = {
      is: "subscribe",
      subscription: this.number,
      pattern: this.pattern,
      cursor,
      // Once it began, it goes on. A cursor that the hub has lost begins anew where the work here ends.
      reset: received ? undefined : reset,
      from: (cursor ? finished : received) ?? onWire(from),
      window: this.#window,
    };
    this.#connection.say(envelope);
  }

  subscribed({ epoch, position: offset, head }: Subscribed): void {
    const position = { epoch, offset };
    this.#place.confirm(position);
    this.#acknowledgements.begin(offset);
    this.#state = "catching-up";
    this.#arrived();
    this.confirm(position);
    emit(this, "subscribed", { position, head });
  }

  /** Returns how many of the messages are new to this client. */
  received(envelope: Messages, bytes: number): number {
    const { epoch } = this.#place.received as Position;
    const known = this.#place.receive(envelope);
    this.#acknowledgements.count(known, known * bytes);
    const news = envelope.messages.slice(known);
    for (const wire of news) this.#inbox.push({ message: new Message(wire, epoch, this.#finish), bytes });
    this.#arrived();
    return news.length;
  }

  /** Returns what is missing, less what had arrived before it was removed. */
  gap({ from, to, reason, position }: GapEnvelope): Gap | undefined {
    const { before } = this.#place;
    const seen = reason !== "epoch" && before > from;
    if (seen && before >= position.offset) return undefined;
    const gap = { from: seen ? before : from, to, reason };
    this.#place.confirm(position);
    this.#inbox.push({ gap, position });
    this.#arrived();
    return gap;
  }

  /** It is live, or is not any more. */
  pace(state: "live" | "behind"): void {
    this.#state = state === "live" ? state : "catching-up";
    emit(this, state, undefined);
  }

  /** Acknowledges now what is finished. */
  flush(): void {
    this.#acknowledgements.consider(true);
  }

  /** The session is over, or has refused it for now. */
  lost(): void {
    this.#state = "subscribing";
    this.#place.lost();
    this.#acknowledgements.stop();
  }

  /** Ends it, if it has not ended yet: with an error, or because its user wished so. */
  end(error?: unknown): void {
    if (this.#state === "ended") return;
    this.flush();
    this.#state = "ended";
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#inbox = [];
    this.#arrival?.resolve();
    this.#listener.ended(this);
    this.over(error);
  }

  /** There may be something to hand out; and if there is not, an idle position has advanced. */
  #arrived(): void {
    if (this.#handler) void this.#handle(this.#handler);
    else if (this.#inbox.length) this.#arrival?.resolve();
    this.#advance();
  }

  /** Calls the handler for all that is there, without waiting between messages unless the handler makes it wait. */
  async #handle(handler: Handler): Promise<void> {
    if (this.#taken) return;
    this.#taken = true;
    try {
      for (let message = this.#take(); message; message = this.#take()) {
        const result: unknown = handler(message);
        if ((result as Partial<PromiseLike<void>> | undefined)?.then) await result;
        this.#finishAutomatically(message);
      }
    } catch (error) {
      this.end(error);
    }
    this.#taken = false;
  }

  /** The next message. A gap on the way to it ends the subscription or is told, as the user chose. */
  #take(): Message | undefined {
    for (;;) {
      const next = this.#inbox.shift();
      if (!next) return undefined;
      if ("message" in next) {
        this.#handed = next.message;
        this.#acknowledgements.count(1, next.bytes);
        return next.message;
      }
      const { gap, position } = next;
      if (this.#options.onGap !== "continue") {
        this.end(new GapError(gap, position));
        return undefined;
      }
      if (!this.#handed) this.#place.finish(position);
      // Until the gap is acknowledged the hub keeps the cursor before it, also where the subscription starts after it.
      this.#acknowledgements.begin(position.offset - 1);
      this.#advance();
      emit(this, "gap", { ...gap, position });
    }
  }

  #finishAutomatically(message: Message): void {
    if (this.#options.acknowledge !== "manual") this.#finish(message);
  }

  #advance(): void {
    if (this.#state === "ended") return;
    if (!this.#handed && !this.#inbox.length) this.#place.finish();
    this.#acknowledgements.consider();
  }

  readonly #finish = (message: Message): void => {
    if (!this.#place.finish(message)) return;
    if (message === this.#handed) this.#handed = undefined;
    this.#advance();
  };
}
