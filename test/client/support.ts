/** A client with a clock, a network, a page and a hub that are all in the test's hands. */
import type { ClientEnvelope, Encoded, GroupPolicy, HubEnvelope, Limits, Publish, WireMessage } from "@dogear/shared";
import { defaultLimits } from "@dogear/shared";
import { Annex } from "../../client/src/annex.ts";
import { type ConnectOptions, Dogear, type LoadAnnex } from "../../client/src/client.ts";
import type { PageListener } from "../../client/src/connection/page.ts";
import { type Runtime, timerMsMax } from "../../client/src/runtime.ts";
import type { TransportListener } from "../../client/src/transport/transport.ts";

export const epoch = "e1";
export const startedAt = 1_800_000_000_000;

/** What a hub makes of a group that declares nothing. */
export const policy: GroupPolicy = {
  order: "none",
  onFailure: "block",
  maxFailures: 10,
  leaseMs: 30_000,
  backoff: { type: "exponential", minMs: 1_000, maxMs: 300_000, jitter: 0.5 },
};

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Time that passes only when told to. */
export class VirtualClock {
  #now = startedAt;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  setTimer(delayMs: number, run: () => void): () => void {
    // What is no number counts as nothing, as for the timers of every platform.
    const timer = { at: this.#now + (Math.min(delayMs, timerMsMax) || 0), run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Lets time pass, firing what falls due, in order, and settling promises in between. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = end;
  }

  /** Time goes by while no timer fires: the machine sleeps. */
  sleep(ms: number): void {
    this.#now += ms;
  }
}

/** Lets everything that needs no time happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}

/** One connection as the hub sees it. */
export class FakeSocket {
  readonly url: string;
  /** The WebSocket messages that arrived, decoded. */
  readonly frames: ClientEnvelope[][] = [];
  closed = false;
  readonly #listener: TransportListener;
  #read = 0;

  constructor(url: string, listener: TransportListener) {
    this.url = url;
    this.#listener = listener;
  }

  send(frame: Encoded): void {
    const parsed = JSON.parse(frame as string) as ClientEnvelope | ClientEnvelope[];
    this.frames.push(Array.isArray(parsed) ? parsed : [parsed]);
  }

  close(): void {
    this.closed = true;
  }

  /** All envelopes so far. */
  get said(): ClientEnvelope[] {
    return this.frames.flat();
  }

  /** The envelopes that came since this was last asked. */
  async heard(): Promise<ClientEnvelope[]> {
    await settle();
    const news = this.said.slice(this.#read);
    this.#read = this.said.length;
    return news;
  }

  /** Those of one kind that came since this was last asked. */
  async heardOf<K extends ClientEnvelope["is"]>(is: K): Promise<Extract<ClientEnvelope, { is: K }>[]> {
    const news = await this.heard();
    return news.filter((envelope): envelope is Extract<ClientEnvelope, { is: K }> => envelope.is === is);
  }

  open(): void {
    this.#listener.opened();
  }

  /** One WebSocket message from the hub. */
  async say(...envelopes: readonly Loose<HubEnvelope>[]): Promise<void> {
    this.#listener.received(JSON.stringify(envelopes.length === 1 ? envelopes[0] : envelopes));
    await settle();
  }

  async sayText(text: string): Promise<void> {
    this.#listener.received(text);
    await settle();
  }

  async welcome(
    limits: Partial<Limits> = {},
    time = 1_000,
    who: { user?: string; expires?: number } = {},
  ): Promise<void> {
    await this.say({
      is: "welcome",
      protocol: 1,
      hub: "test",
      session: "s",
      user: "u",
      time,
      heartbeatMs: 25_000,
      limits: { ...defaultLimits, ...limits },
      ...who,
    });
  }

  async subscribed(subscription: number, position = 0, more: { epoch?: string; head?: number } = {}): Promise<void> {
    await this.say({ is: "subscribed", subscription, epoch, position, head: position, ...more });
  }

  async caughtUp(subscription: number): Promise<void> {
    await this.say({ is: "caught-up", subscription });
  }

  /** Sends the messages of these offsets privately, through the last of them unless told otherwise. */
  async catchUp(subscription: number, offsets: readonly number[], through = offsets.at(-1) ?? 0): Promise<void> {
    await this.say({ is: "messages", subscription, after: 0, through, messages: offsets.map(wire) });
  }

  /** Sends the messages of these offsets to all live subscriptions of a pattern. */
  async live(pattern: string, offsets: readonly number[], through = offsets.at(-1) ?? 0): Promise<void> {
    await this.say({ is: "messages", pattern, after: 0, through, messages: offsets.map(wire) });
  }

  async published(...numbers: readonly number[]): Promise<void> {
    await this.say(
      ...numbers.map((number) => ({
        is: "published" as const,
        number,
        epoch,
        offset: 100 + number,
        duplicate: false,
        durability: "disk" as const,
      })),
    );
  }

  /** Takes a member in, which holds these offsets under these fences. */
  async working(
    member: number,
    held: readonly (readonly [offset: number, fence: number, deliveries?: number])[] = [],
    more: { epoch?: string; policy?: GroupPolicy } = {},
  ): Promise<void> {
    const leases = held.map(([offset, fence, deliveries = 1]) => ({ offset, fence, deliveries }));
    await this.say({ is: "working", member, epoch, policy, window: 100, leases, ...more });
  }

  /** Leases the messages of these offsets to a member, for the first time, each under the fence {@link fenceOf} says. */
  async leased(member: number, ...offsets: readonly number[]): Promise<void> {
    const leases = offsets.map((offset) => ({ fence: fenceOf(offset), deliveries: 1, failures: 0 }));
    await this.say({ is: "leased", member, leases, messages: offsets.map(wire) });
  }

  async settled(member: number, ...fences: readonly number[]): Promise<void> {
    await this.say({ is: "settled", member, fences });
  }

  async leaseLost(member: number, fence: number): Promise<void> {
    await this.say({ is: "error", code: "lease-lost", message: "Not held.", member, fence });
  }

  async left(member: number): Promise<void> {
    await this.say({ is: "left", member });
  }

  async drop(code = 1006, reason = ""): Promise<void> {
    this.#listener.closed(code, reason);
    await settle();
  }
}

/** Brands aside. */
type Loose<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends object
      ? { [K in keyof T]: Loose<T[K]> }
      : T;

/** The fence under which a message is leased at first. */
export function fenceOf(offset: number): number {
  return 1_000 + offset;
}

export function wire(offset: number): Loose<WireMessage> {
  return { offset, channel: "a.b", time: 5, data: { n: offset } };
}

export class World {
  readonly clock = new VirtualClock();
  readonly sockets: FakeSocket[] = [];
  readonly dogear: Dogear;
  readonly events: { type: string; detail: unknown }[] = [];
  /** What random() gives. */
  random = 0.5;
  readonly #watchers = new Set<PageListener>();
  readonly page: PageListener = {
    woke: () => this.#tellPage("woke"),
    offline: () => this.#tellPage("offline"),
    leaving: () => this.#tellPage("leaving"),
  };
  hidden = false;
  #ids = 0;

  constructor(options: ConnectOptions = {}, url = "ws://hub", loadAnnex: LoadAnnex = () => Promise.resolve({ Annex })) {
    const runtime: Runtime = {
      now: () => this.clock.now(),
      setTimer: (delayMs, run) => this.clock.setTimer(delayMs, run),
      random: () => this.random,
      newId: () => `producer-${++this.#ids}`,
      connect: (url, _, listener) => {
        const socket = new FakeSocket(url, listener);
        this.sockets.push(socket);
        return socket;
      },
      watchPage: (listener) => {
        this.#watchers.add(listener);
        const isHidden = (): boolean => this.hidden;
        return {
          get hidden() {
            return isHidden();
          },
          stop: () => void this.#watchers.delete(listener),
        };
      },
    };
    this.dogear = new Dogear(url, options, runtime, loadAnnex);
    for (const type of ["state", "resumed", "error"] as const)
      this.dogear.addEventListener(type, ({ detail }) => this.events.push({ type, detail }));
  }

  /** The newest connection. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("Nothing was opened.");
    return socket;
  }

  /** Opens the newest connection and welcomes it. */
  async connect(limits: Partial<Limits> = {}, time?: number): Promise<FakeSocket> {
    this.socket.open();
    await this.socket.welcome(limits, time);
    return this.socket;
  }

  /** Loses the connection, waits for the next attempt and welcomes it. */
  async reconnect(): Promise<FakeSocket> {
    await this.socket.drop();
    await this.nextAttempt();
    return this.connect();
  }

  async nextAttempt(): Promise<void> {
    const before = this.sockets.length;
    for (let waitedMs = 0; this.sockets.length === before; waitedMs += 100) {
      if (waitedMs > 60_000) throw new Error("No further attempt.");
      await this.clock.pass(100);
    }
  }

  #tellPage(what: keyof PageListener): void {
    for (const watcher of this.#watchers) watcher[what]();
  }

  eventsOf(type: "state" | "resumed" | "error"): unknown[] {
    return this.events.filter((event) => event.type === type).map(({ detail }) => detail);
  }
}

/** How a promise stands now. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  await settle();
  return Promise.race([
    promise.then(
      (value) => ({ resolved: value }),
      (error: unknown) => ({ rejected: error }),
    ),
    settle().then(() => "pending"),
  ]);
}

/** The code of the error a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const result = await outcome(promise);
  if (typeof result === "object" && result && "rejected" in result)
    return String((result.rejected as { code?: unknown }).code ?? result.rejected);
  return JSON.stringify(result);
}

export function numbersOf(envelopes: readonly ClientEnvelope[]): number[] {
  return envelopes.filter((envelope): envelope is Publish => envelope.is === "publish").map(({ number }) => number);
}
