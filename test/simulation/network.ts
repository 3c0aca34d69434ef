/**
 * Connections between clients and hubs: two directions, each in order, with delay; cut, half-open, slow or mangled as the
 * weather has it.
 *
 *     client ◄── transport ── to-client ──┐
 *            ── transport ── to-hub ────► │ link │ ◄──► session ── hub
 */
import type { Encoded } from "@dogear/shared";
import type { Transport, TransportListener } from "../../client/src/transport/transport.ts";
import type { Frame } from "../../server/src/codec/codec.ts";
import type { Session } from "../../server/src/session/session.ts";
import type { Socket } from "../../server/src/session/socket.ts";
import type { Machine } from "./machine.ts";
import type { Timeline, Watch } from "./timeline.ts";

/** Where a connection arrives. */
export interface Door {
  readonly machine: Machine;
  /** Makes the session of a new connection; undefined where it is refused. */
  accept(socket: Socket): Session | undefined;
  left(session: Session): void;
}

/** What the network is like for connections made now, and for what they carry. */
export interface Weather {
  /** The longest that anything takes one way, in milliseconds. */
  delayMsMax: number;
  /** Of all attempts to connect, how many are refused, and how many never answered. */
  refused: number;
  hung: number;
}

export const fair: Weather = { delayMsMax: 5, refused: 0, hung: 0 };

/** A buffer that was above this says so when it is empty again, as in Node; less than an outbox may hold. */
const highWaterBytes = 1_024;

export class Network {
  readonly timeline: Timeline;
  weather: Weather = { ...fair };
  /** Told how much a connection had buffered at a hub when more was sent. */
  onBuffered: (hub: string, bytes: number) => void = () => {};
  /** The most bytes that a hub has sent over one connection at once: a large frame, or what a round of a group leases. */
  largestBurst = 0;
  /** Told of everything that arrives. */
  readonly watch: Watch;
  readonly links = new Set<Link>();
  /** How many connections there were, which names each. */
  count = 0;

  constructor(timeline: Timeline, watch: Watch) {
    this.timeline = timeline;
    this.watch = watch;
  }

  delay(): number {
    const { random } = this.timeline;
    // Mostly quick, now and then as slow as can be.
    return this.weather.delayMsMax * random() * random() * random();
  }

  /** A client connects to the hub that `find` says is there by then. */
  connect(client: Machine, find: () => Door | undefined, listener: TransportListener): Transport {
    const link = new Link(this, client, listener);
    const { refused, hung } = this.weather;
    if (this.timeline.chance(hung)) return link.transport;
    this.timeline.after(this.delay(), () => {
      const door = this.timeline.chance(refused) ? undefined : find();
      if (door === undefined || !link.reach(door)) link.refuse();
    });
    return link.transport;
  }
}

type Direction = "to-hub" | "to-client";

export class Link {
  readonly client: Machine;
  readonly transport: Transport;
  readonly #number: number;
  readonly #network: Network;
  readonly #listener: TransportListener;
  readonly #toClient: Pipe;
  #toHub: Pipe | undefined;
  #session: Session | undefined;
  #door: Door | undefined;
  /** Whether its client still listens. */
  #listening = true;
  #buffered = 0;
  #received = 0;
  #wasHigh = false;
  /** What is sent at this moment. */
  #burst = { at: -1, before: 0, bytes: 0 };
  #paused: (() => void)[] | undefined;

  constructor(network: Network, client: Machine, listener: TransportListener) {
    this.#network = network;
    this.#number = ++network.count;
    this.client = client;
    this.#listener = listener;
    this.#toClient = new Pipe(network, client);
    this.transport = {
      send: (frame) => this.#sendToHub(frame),
      close: () => this.#hangUp(),
    };
    client.onDeath(() => this.#die());
  }

  get hub(): Machine | undefined {
    return this.#door?.machine;
  }

  reach(door: Door): boolean {
    if (!this.client.alive || !this.#listening) return true;
    this.#door = door;
    this.#session = door.accept(this.#socket(door.machine));
    if (this.#session === undefined) return false;
    this.#network.links.add(this);
    this.#toHub = new Pipe(this.#network, door.machine);
    this.#toClient.push(() => this.#listening && this.#listener.opened());
    return true;
  }

  refuse(): void {
    this.#toClient.push(() => this.#closed(1006, ""));
  }

  /** The connection breaks. Each end learns of it in its own time; what is under way may still arrive, or be lost. */
  cut(): void {
    const { timeline } = this.#network;
    for (const pipe of [this.#toClient, this.#toHub]) if (timeline.chance(0.5)) pipe?.drop();
    this.#toClient.push(() => this.#closed(1006, ""), { always: true });
    this.#toHub?.push(() => this.#disconnected(), { always: true });
    this.#toClient.stop();
    this.#toHub?.stop();
  }

  /** Nothing arrives any more in a direction, and nobody is told. */
  lose(direction: Direction): void {
    const pipe = direction === "to-client" ? this.#toClient : this.#toHub;
    pipe?.stop();
    if (this.#network.timeline.chance(0.5)) pipe?.drop();
  }

  /** A message arrives at the client cut short, as by a box in between that thinks it knows better. */
  mangle(): void {
    this.#toClient.push(() => this.#listening && this.#listener.received('{"is":"mess'));
  }

  /** The hub's process is gone; its kernel says so, unless it went with its machine. */
  hubDied(silently: boolean): void {
    this.#network.links.delete(this);
    if (!silently) this.#toClient.push(() => this.#closed(1006, ""));
    this.#toClient.stop();
  }

  #sendToHub(frame: Encoded): void {
    if (!this.client.alive) return;
    const message = Buffer.from(frame as string);
    this.#toHub?.push(() => this.#arrive(() => this.#take(message)));
  }

  #take(message: Buffer): void {
    this.#received += message.length;
    this.#watch("hears", message);
    this.#session?.receive(message, false);
  }

  /** At the hub, in order, unless it has stopped reading. */
  #arrive(run: () => void): void {
    if (this.#paused === undefined) run();
    else this.#paused.push(run);
  }

  #sendToClient(frame: Frame): void {
    const bytes = Buffer.concat(frame);
    const { length } = bytes;
    const text = payloadOf(bytes);
    const { timeline } = this.#network;
    if (timeline.now !== this.#burst.at) this.#burst = { at: timeline.now, before: this.#buffered, bytes: 0 };
    this.#burst.bytes += length;
    this.#network.largestBurst = Math.max(this.#network.largestBurst, this.#burst.bytes);
    this.#network.onBuffered((this.#door as Door).machine.name, this.#burst.before);
    this.#buffered += length;
    this.#wasHigh ||= this.#buffered >= highWaterBytes;
    this.#toClient.push(
      () => {
        this.#sent(length);
        this.#watch("says", text);
        if (this.#listening) this.#listener.received(text);
      },
      { dropped: () => this.#sent(length) },
    );
  }

  /** The client's side has taken something. */
  #sent(length: number): void {
    this.#buffered -= length;
    if (this.#buffered > 0 || !this.#wasHigh) return;
    this.#wasHigh = false;
    this.#door?.machine.after(0, () => this.#session?.drained());
  }

  #watch(what: string, said: Buffer | string): void {
    this.#network.watch(() => `${this.hub?.name} ${what} ${this.client.name} (connection ${this.#number}) ${said}`);
  }

  /** The client gives the connection up. */
  #hangUp(): void {
    this.#listening = false;
    this.#toHub?.push(() => this.#disconnected());
  }

  /** The client's process is gone; so is, mostly, the connection. */
  #die(): void {
    this.#listening = false;
    if (this.#network.timeline.chance(0.8)) this.#toHub?.push(() => this.#disconnected());
    this.#toHub?.stop();
  }

  #closed(code: number, reason: string): void {
    this.#watch("ended", String(code));
    if (!this.#listening) return;
    this.#listening = false;
    this.#listener.closed(code, reason);
  }

  #disconnected(): void {
    const session = this.#session;
    this.#network.links.delete(this);
    if (session === undefined) return;
    this.#session = undefined;
    this.#watch("lost", "");
    session.disconnected();
    this.#door?.left(session);
  }

  #socket(hub: Machine): Socket {
    const link = this;
    return {
      get bufferedBytes() {
        return link.#buffered;
      },
      get receivedBytes() {
        return link.#received;
      },
      send: (frame) => {
        if (hub.alive && link.#session !== undefined) link.#sendToClient(frame);
      },
      pause: () => {
        link.#paused ??= [];
      },
      resume: () => {
        const waiting = link.#paused ?? [];
        link.#paused = undefined;
        for (const run of waiting) hub.after(0, () => link.#arrive(run));
      },
      close: (code, reason) => {
        link.#toClient.push(() => link.#closed(code, reason));
        hub.after(0, () => link.#disconnected());
      },
    };
  }
}

interface Parcel {
  /** Whether it arrives in a direction that has stopped too: it is the end of it. */
  readonly always?: boolean;
  /** Called where it is lost on its way. Not where it never leaves: then it waits for good. */
  readonly dropped?: () => void;
}

/** One direction: what is pushed arrives in order, each after its own delay, at a machine that lives. */
class Pipe {
  readonly #network: Network;
  readonly #to: Machine;
  #last = 0;
  #stopped = false;
  /** How often what was under way was lost. */
  #drops = 0;

  constructor(network: Network, to: Machine) {
    this.#network = network;
    this.#to = to;
  }

  push(arrive: () => void, { always = false, dropped = () => {} }: Parcel = {}): void {
    if (this.#stopped && !always) return;
    const { timeline } = this.#network;
    const drops = this.#drops;
    this.#last = Math.max(this.#last, timeline.now + this.#network.delay());
    this.#to.after(this.#last - timeline.now, () => {
      if (always || drops === this.#drops) arrive();
      else dropped();
    });
  }

  /** Takes nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Loses what is under way. */
  drop(): void {
    this.#drops++;
  }
}

/** The text in a frame of the hub's, which are whole, of text and not masked. */
function payloadOf(frame: Buffer): string {
  const header = [2, 4, 10][Math.max(0, (frame[1] as number) - 125)] as number;
  return frame.subarray(header).toString();
}
