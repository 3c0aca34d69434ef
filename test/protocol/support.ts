/** A hub of its own for each test, and clients that know the protocol's envelopes but none of its rules. */
import {
  type GapEnvelope,
  type Hello,
  type HubEnvelope,
  type Messages,
  type Published,
  protocolVersion,
  type Subscribe,
  type Subscribed,
  type WireMessage,
} from "@dogear/shared/envelopes";
import { parseConfig } from "../../server/src/config/config.ts";
import { type Server, startServer } from "../../server/src/server.ts";
import { type BareSocket, open } from "../support/bare-socket.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";

export type { BareSocket } from "../support/bare-socket.ts";

/** Envelopes as a test writes them, without the brands that only the code needs. */
type Unbranded<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends object
      ? { [K in keyof T]: Unbranded<T[K]> }
      : T;
export type Asked = Partial<Unbranded<Omit<Subscribe, "is">>>;
export type Greeting = Partial<Unbranded<Omit<Hello, "is">>>;

export interface HubOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly namespaces?: object;
  readonly access?: object;
  readonly listen?: object;
  /** The data of a hub that ran before. */
  readonly data?: string;
}

/** Starts a hub in this process; it stops when the test ends. */
export async function startHub({ data = temporaryFolder(), ...config }: HubOptions = {}): Promise<Server> {
  const hub = await startServer({ data, port: 0, config: parseConfig(config) });
  whenDone(() => hub.close());
  return hub;
}

/** A connection that has said hello and was welcomed. */
export async function greet(hub: { readonly url: string }, greeting: Greeting = {}): Promise<BareSocket> {
  const socket = await open(hub.url);
  socket.send(hello(greeting));
  await socket.next("welcome");
  return socket;
}

export function hello(greeting: Greeting = {}): object {
  return { is: "hello", protocol: protocolVersion, ...greeting };
}

/** Publishes in one WebSocket message, numbered from 1, and waits for every answer. */
export async function publish(socket: BareSocket, channel: string, ...data: readonly unknown[]): Promise<Published[]> {
  return publishAll(
    socket,
    data.map((value) => ({ channel, data: value })),
  );
}

/** The same for several channels. */
export async function publishAll(socket: BareSocket, drafts: readonly object[]): Promise<Published[]> {
  socket.send(drafts.map((draft, i) => ({ is: "publish", number: i + 1, ...draft })));
  const published: Published[] = [];
  while (published.length < drafts.length) published.push(await socket.next("published"));
  return published;
}

/** The integers from `first` to `last`. */
export function count(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Holds that the hub still serves others: a message goes round. */
export async function expectGoodService(hub: { readonly url: string }): Promise<void> {
  const socket = await greet(hub);
  const reader = new Reader(socket);
  const place = await reader.subscribe({ pattern: "service.works" });
  await publish(socket, "service.works", "still");
  await reader.until(() => place.messages.length === 1);
  socket.close();
}

/** What a client knows of one of its subscriptions. */
export interface Place {
  readonly asked: Asked;
  readonly subscribed: Subscribed;
  state: "catching-up" | "live" | "ended";
  readonly messages: WireMessage[];
  readonly gaps: GapEnvelope[];
  /** Everything that matches up to here has arrived. */
  through: number;
  acknowledged: number;
}

export interface ReaderOptions {
  /** Whether it acknowledges all it gets; otherwise it does when told. */
  readonly acknowledges?: boolean;
}

/**
 * A client with subscriptions that takes the protocol by its word and fails where the hub does not keep to it: it
 * drops nothing that came twice, and looks for nothing that did not come.
 */
export class Reader {
  readonly socket: BareSocket;
  /** By number of subscription. */
  readonly places = new Map<number, Place>();
  /** Everything that was not about a subscription's messages. */
  readonly others: HubEnvelope[] = [];
  readonly #acknowledges: boolean;
  #nextUnused = 1_000_000;

  constructor(socket: BareSocket, { acknowledges = true }: ReaderOptions = {}) {
    this.socket = socket;
    this.#acknowledges = acknowledges;
  }

  /** Subscribes, as number 1 where none is named, and waits until that is confirmed. */
  async subscribe(asked: Asked): Promise<Place> {
    const { subscription = 1 } = asked;
    this.socket.send({ is: "subscribe", subscription, ...asked });
    let subscribed: Subscribed | undefined;
    while (subscribed === undefined) {
      const envelope = await this.socket.next();
      if (envelope.is === "error" || (envelope.is === "unsubscribed" && envelope.subscription === subscription)) {
        throw new Error(`Not subscribed: ${JSON.stringify(envelope)}`);
      }
      if (envelope.is === "subscribed" && envelope.subscription === subscription) subscribed = envelope;
      else this.#take(envelope);
    }
    const { position } = subscribed;
    const place: Place = {
      asked,
      subscribed,
      state: "catching-up",
      messages: [],
      gaps: [],
      through: position,
      acknowledged: position,
    };
    this.places.set(subscription, place);
    return place;
  }

  /** Reads until something holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) this.#take(await this.socket.next());
  }

  /** Reads what is already on its way: until the hub has answered something asked now. */
  async settle(): Promise<void> {
    const subscription = this.#nextUnused++;
    this.socket.send([
      { is: "subscribe", subscription, pattern: "nobody.publishes.here" },
      { is: "unsubscribe", subscription },
    ]);
    const from = this.others.length;
    const answered = () =>
      this.others.findIndex((other, i) => i >= from && "subscription" in other && other.subscription === subscription);
    await this.until(() => answered() >= 0);
    this.others.splice(answered(), 1);
  }

  acknowledge(subscription = 1, offset: number = this.#place(subscription).through): void {
    this.socket.send({ is: "ack", subscription, offset });
    const place = this.#place(subscription);
    place.acknowledged = Math.max(place.acknowledged, offset);
  }

  #take(envelope: HubEnvelope): void {
    switch (envelope.is) {
      case "messages":
        return this.#receive(envelope);
      case "caught-up":
        this.#place(envelope.subscription).state = "live";
        return;
      case "behind":
        this.#place(envelope.subscription).state = "catching-up";
        return;
      case "unsubscribed":
        this.others.push(envelope);
        this.#ended(envelope.subscription);
        return;
      case "gap":
        return this.#skip(envelope);
      case "ping":
        return this.socket.send({ is: "pong" });
      default:
        this.others.push(envelope);
    }
  }

  #receive(envelope: Messages): void {
    const { subscription, pattern } = envelope;
    const numbers =
      subscription === undefined
        ? [...this.places].filter(([, { asked, state }]) => state === "live" && asked.pattern === pattern)
        : [[subscription, this.#place(subscription)] as const];
    if (numbers.length === 0) broken("P-37", "nobody is live for this envelope", envelope);
    for (const [number, place] of numbers) {
      this.#enter(place, envelope);
      if (this.#acknowledges) this.acknowledge(number);
    }
  }

  #enter(place: Place, envelope: Messages): void {
    const { after, through, messages } = envelope;
    if (after > place.through) broken("P-36", `after is beyond ${place.through}`, envelope);
    for (const message of messages) {
      const last = place.messages.at(-1)?.offset ?? place.subscribed.position;
      if (message.offset <= last) broken("P-36", `offset ${message.offset} follows ${last}`, envelope);
      if (message.offset > through) broken("P-36", "an offset is beyond through", envelope);
      place.messages.push(message);
    }
    place.through = Math.max(place.through, through);
    const unacknowledged = place.messages.filter(({ offset }) => offset > place.acknowledged).length;
    const window = place.asked.window?.messages ?? Infinity;
    if (unacknowledged > window)
      broken("P-38", `${unacknowledged} are unacknowledged, the window is ${window}`, envelope);
  }

  #ended(subscription: number): void {
    const place = this.places.get(subscription);
    if (place !== undefined) place.state = "ended";
  }

  #skip(gap: GapEnvelope): void {
    const place = this.#place(gap.subscription);
    place.gaps.push(gap);
    place.through = gap.position.offset;
    if (this.#acknowledges) this.acknowledge(gap.subscription);
  }

  #place(subscription: number): Place {
    const place = this.places.get(subscription);
    if (place === undefined) throw new Error(`Nobody subscribed as ${subscription}.`);
    return place;
  }
}

function broken(rule: string, why: string, envelope: object): never {
  throw new Error(`${rule}: ${why}: ${JSON.stringify(envelope).slice(0, 500)}`);
}

export function dataOf({ messages }: Pick<Place, "messages">): unknown[] {
  return messages.map(({ data }) => data);
}
