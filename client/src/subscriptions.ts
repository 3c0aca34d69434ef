/** All subscriptions of a client: gives each its number, and brings it what the hub says. */
import type { DogearError, HubEnvelope } from "@dogear/shared";
import type { Connection } from "./connection/driver.ts";
import { errorFrom } from "./failure.ts";
import { OpenSubscription } from "./open-subscription.ts";
import { type Resumed, Resumption } from "./resumption.ts";
import { Retry } from "./retry.ts";
import type { Handler, SubscribeOptions } from "./subscription.ts";

export interface SubscriptionsListener {
  readonly resumed: (resumed: Resumed) => void;
  /** An error that nobody waits for. */
  readonly report: (error: unknown) => void;
}

/** What a hub says that may name a subscription. */
type About = Extract<HubEnvelope, { readonly subscription?: number | undefined }>;

export class Subscriptions {
  readonly #connection: Connection;
  /** An error that nobody waits for. */
  readonly report: (error: unknown) => void;
  /** By number, until the hub knows of their end. No number is used twice, so none gets what is said of another. */
  readonly #all = new Map<number, OpenSubscription>();
  #lastNumber = 0;
  /** Those that were refused for now. */
  readonly #refused = new Set<OpenSubscription>();
  readonly #retry: Retry;
  readonly #resumption: Resumption<OpenSubscription>;

  constructor(connection: Connection, listener: SubscriptionsListener) {
    this.#connection = connection;
    this.report = listener.report;
    this.#resumption = new Resumption(listener.resumed);
    this.#retry = new Retry(connection, () => {
      for (const subscription of this.#refused) subscription.subscribe();
      this.#refused.clear();
    });
  }

  add(pattern: string, options: SubscribeOptions, handler: Handler | undefined): OpenSubscription {
    const subscription = new OpenSubscription(this.#connection, this, pattern, options, handler);
    if (options.signal?.aborted) {
      subscription.end();
    } else {
      this.#number(subscription);
      subscription.subscribe();
    }
    return subscription;
  }

  /** A session has begun: all go on in it. */
  resume(): void {
    for (const subscription of this.#all.values()) subscription.subscribe();
  }

  welcomed(): void {
    this.#resumption.welcomed(this.#connection.runtime.now());
  }

  lost(): void {
    this.#retry.stop();
    this.#refused.clear();
    for (const subscription of this.#all.values()) {
      if (subscription.state === "ended") this.#release(subscription);
      else subscription.lost();
    }
    this.#resumption.lost(this.#connection.runtime.now(), this.#all.values());
  }

  /** Acknowledges now what is finished. */
  flush(): void {
    for (const subscription of this.#all.values()) subscription.flush();
  }

  end(error?: DogearError): void {
    for (const subscription of this.#all.values()) subscription.end(error);
  }

  ended(subscription: OpenSubscription): void {
    this.#refused.delete(subscription);
    const { number } = subscription;
    const told = this.#all.has(number) && this.#connection.say({ is: "unsubscribe", subscription: number });
    if (!told) this.#release(subscription);
    this.#resumption.back(subscription);
  }

  /** Takes in what the hub says; `bytes` is about what each message in it takes. */
  receive(envelope: About, bytes: number): void {
    if (envelope.is === "messages" && envelope.pattern !== undefined) {
      for (const subscription of this.#all.values())
        if (subscription.state === "live" && subscription.pattern === envelope.pattern)
          subscription.received(envelope, bytes);
      return;
    }
    const subscription = this.#all.get(envelope.subscription ?? 0);
    if (envelope.is === "error" || envelope.is === "unsubscribed") {
      const error = errorFrom(envelope);
      if (envelope.subscription === undefined) this.report(error);
      if (subscription) this.#over(subscription, error);
    }
    if (!subscription || subscription.state === "ended") return;
    switch (envelope.is) {
      case "subscribed":
        this.#retry.reset();
        subscription.subscribed(envelope);
        break;
      case "messages":
        this.#resumption.received(subscription, subscription.received(envelope, bytes));
        break;
      case "caught-up":
        subscription.pace("live");
        this.#resumption.back(subscription);
        break;
      case "behind":
        subscription.pace("behind");
        break;
      case "gap":
        this.#resumption.received(subscription, 0, subscription.gap(envelope));
    }
  }

  /** The hub has let go of a subscription, or complains of what is said about it. */
  #over(subscription: OpenSubscription, error: DogearError): void {
    if (subscription.state === "ended") {
      this.#release(subscription);
    } else if (error.code === "ack-beyond-sent" || error.code === "unknown-subscription") {
      this.report(error);
    } else {
      this.#release(subscription);
      if (error.retry === "no") {
        subscription.end(error);
      } else {
        subscription.lost();
        this.#number(subscription);
        this.#refused.add(subscription);
        this.#retry.later();
      }
    }
  }

  #number(subscription: OpenSubscription): void {
    subscription.number = ++this.#lastNumber;
    this.#all.set(subscription.number, subscription);
  }

  #release(subscription: OpenSubscription): void {
    this.#all.delete(subscription.number);
    if (subscription.state === "ended") subscription.left.resolve();
  }
}
