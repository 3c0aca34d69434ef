/**
 * A subscriber that speaks Dogear's protocol over a raw socket and acknowledges as the SDK does. It reads the head of each
 * envelope and the number of each message, and parses neither.
 */
import { defaultLimits, type HubEnvelope, jsonSubprotocol } from "@dogear/shared";
import { digitsAt, eachNumber, numberAt } from "../message.ts";
import { RawSocket } from "../raw-socket.ts";
import type { Sequence } from "../sequence.ts";
import type { Subscriber, SubscriberOptions } from "../system.ts";

const dataMark = Buffer.from('"data":"');
const afterMark = Buffer.from('"after":');
const throughMark = Buffer.from('"through":');
const headStart = '{"is":"messages","';

const window = { messages: defaultLimits.windowMessagesMax, bytes: defaultLimits.windowBytesMax };
/** So that a frame of envelopes stays within what a hub takes before it knows who it is. */
const subscribesPerFrame = 250;

/** What many connections are sent the same bytes of: looked at whole once, and at its two ends each time. */
interface Stretch {
  readonly first: number;
  readonly count: number;
  /** From the first number, and from the last one, to the end of the envelope. */
  readonly firstFromEnd: number;
  readonly lastFromEnd: number;
}

/** The stretches of one hub's channels, each by where it begins and ends in the log. */
export class Stretches {
  readonly #stretches = new Map<string, Stretch>();

  get(key: string): Stretch | undefined {
    return this.#stretches.get(key);
  }

  set(key: string, stretch: Stretch): void {
    if (this.#stretches.size > 2_000) this.#stretches.clear();
    this.#stretches.set(key, stretch);
  }
}

/** Shorter ones are sooner read than found. */
const stretchBytesMin = 1_000;

interface Subscription {
  readonly number: number;
  through: number;
  unacknowledged: number;
}

export async function subscriber(url: string, options: SubscriberOptions, stretches: Stretches): Promise<Subscriber> {
  const socket = await RawSocket.open(url, jsonSubprotocol, options.localAddress);
  const subscriber = new DogearSubscriber(socket, options, stretches);
  await subscriber.ready;
  return subscriber;
}

class DogearSubscriber implements Subscriber {
  onProgress: (first: number, count: number) => void = () => {};
  fault: string | undefined;
  behind = 0;
  /** All its subscriptions are live, unless it asked for what is past. */
  readonly ready: Promise<void>;
  readonly #socket: RawSocket;
  readonly #sequence: Sequence;
  readonly #stretches: Stretches;
  readonly #channel: string;
  readonly #acknowledgeEach: boolean;
  /** By pattern, which live envelopes name, and by number, as private ones do. */
  readonly #byPattern = new Map<string, Subscription>();
  readonly #byNumber: Subscription[] = [];
  readonly #live: boolean;
  #epoch = "";
  #awaited: number;
  #onReady: () => void = () => {};
  #acks: string[] = [];

  constructor(socket: RawSocket, options: SubscriberOptions, stretches: Stretches) {
    const { channel, from, sequence, cursor } = options;
    const patterns = typeof channel === "string" ? [channel] : channel;
    this.#socket = socket;
    this.#sequence = sequence;
    this.#stretches = stretches;
    this.#channel = patterns[0] as string;
    this.#acknowledgeEach = cursor !== undefined;
    this.#live = from === "latest";
    this.#awaited = patterns.length;
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    socket.onMessage = (payload) => this.#message(payload);
    socket.onClose = () => {
      this.fault ??= "a subscriber's connection was lost";
    };
    const subscribes = patterns.map((pattern, i) => {
      const subscription: Subscription = { number: i + 1, through: 0, unacknowledged: 0 };
      this.#byPattern.set(pattern, subscription);
      this.#byNumber.push(subscription);
      const start = typeof from === "string" ? from : from.place;
      const asked = { pattern, from: start, window, cursor: cursor !== undefined };
      return JSON.stringify({ is: "subscribe", subscription: i + 1, ...asked });
    });
    const hello = JSON.stringify({ is: "hello", protocol: 1, subscriber: cursor });
    socket.send(`[${[hello, ...subscribes.splice(0, subscribesPerFrame)].join(",")}]`);
    while (subscribes.length > 0) socket.send(`[${subscribes.splice(0, subscribesPerFrame).join(",")}]`);
  }

  place(): unknown {
    return { epoch: this.#epoch, offset: this.#byNumber[0]?.through };
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.onClose = () => {};
    this.#socket.close();
  }

  #message(payload: Buffer): void {
    if (payload.toString("latin1", 0, headStart.length) !== headStart) return this.#control(payload);
    const afterAt = payload.indexOf(afterMark) + afterMark.length;
    const after = digitsAt(payload, afterAt);
    const throughAt = payload.indexOf(throughMark, afterAt) + throughMark.length;
    const through = digitsAt(payload, throughAt);
    const subscription = this.#subscriptionOf(payload, afterAt);
    if (subscription === undefined) return this.#wrong("it was sent what it has no subscription for");
    // An idle position has advanced meanwhile, beyond the last message that matched.
    if (after > subscription.through) this.#wrong(`at ${subscription.through}, it was sent what follows ${after}`);
    subscription.through = through;
    const count = this.#take(payload, throughAt, after, through);
    subscription.unacknowledged += count;
    if (subscription.unacknowledged < (this.#acknowledgeEach ? 1 : window.messages / 2)) return;
    subscription.unacknowledged = 0;
    this.#acknowledge(`{"is":"ack","subscription":${subscription.number},"offset":${through}}`);
  }

  #subscriptionOf(payload: Buffer, afterAt: number): Subscription | undefined {
    if (this.#byNumber.length === 1) return this.#byNumber[0];
    const [name, value] = payload.toString("latin1", headStart.length, afterAt - afterMark.length - 1).split('":');
    return name === "pattern" ? this.#byPattern.get(value?.slice(1, -1) ?? "") : this.#byNumber[Number(value) - 1];
  }

  /** Returns how many messages there are. */
  #take(payload: Buffer, from: number, after: number, through: number): number {
    const few = payload.length - from < stretchBytesMin;
    if (few || this.#byNumber.length > 1) return this.#takeEach(payload);
    const key = `${this.#channel} ${after}-${through}`;
    const known = this.#stretches.get(key) ?? this.#look(payload, key);
    if (known === undefined) return this.#takeEach(payload);
    const { first, count, firstFromEnd, lastFromEnd } = known;
    const last = first + (count - 1) * this.#sequence.channels;
    if (numberAt(payload, payload.length - firstFromEnd) !== first)
      this.#wrong(`a stretch does not begin with ${first}`);
    if (numberAt(payload, payload.length - lastFromEnd) !== last) this.#wrong(`a stretch does not end with ${last}`);
    this.#sequence.takeRun(first, count);
    this.onProgress(first, count);
    return count;
  }

  /** Remembers a stretch whose numbers are a run of one channel. */
  #look(payload: Buffer, key: string): Stretch | undefined {
    const numbers: number[] = [];
    eachNumber(payload, dataMark, (number) => numbers.push(number));
    const [first] = numbers;
    if (first === undefined) return undefined;
    if (numbers.some((number, i) => number !== first + i * this.#sequence.channels)) return undefined;
    const stretch = {
      first,
      count: numbers.length,
      firstFromEnd: payload.length - payload.indexOf(dataMark) - dataMark.length,
      lastFromEnd: payload.length - payload.lastIndexOf(dataMark) - dataMark.length,
    };
    this.#stretches.set(key, stretch);
    return stretch;
  }

  #takeEach(payload: Buffer): number {
    let [first, count] = [0, 0];
    eachNumber(payload, dataMark, (number) => {
      if (count++ === 0) first = number;
      this.#sequence.take(number);
    });
    if (count > 0) this.onProgress(first, count);
    return count;
  }

  /** Acknowledgements of what came together leave together. */
  #acknowledge(ack: string): void {
    if (this.#acks.push(ack) > 1) return;
    queueMicrotask(() => {
      const acks = this.#acks;
      this.#acks = [];
      this.#socket.send(acks.length === 1 ? (acks[0] as string) : `[${acks.join(",")}]`);
    });
  }

  #wrong(what: string): void {
    this.fault ??= what;
  }

  #control(payload: Buffer): void {
    const parsed = JSON.parse(payload.toString()) as HubEnvelope | HubEnvelope[];
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (envelope.is === "subscribed") {
        const subscription = this.#byNumber[envelope.subscription - 1] as Subscription;
        subscription.through = envelope.position;
        this.#epoch = envelope.epoch;
        if (!this.#live) this.#oneReady();
      } else if (envelope.is === "caught-up") {
        if (this.#live) this.#oneReady();
      } else if (envelope.is === "behind") this.behind++;
      else if (envelope.is === "ping") this.#socket.send('{"is":"pong"}');
      else if (envelope.is === "messages") this.#message(Buffer.from(JSON.stringify(envelope)));
      else if (envelope.is === "gap") this.#wrong("it was told of a gap");
      else if (envelope.is === "error") this.#wrong(envelope.message);
    }
  }

  #oneReady(): void {
    if (--this.#awaited === 0) this.#onReady();
  }
}
