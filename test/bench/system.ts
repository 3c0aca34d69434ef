/**
 * What the benchmark asks of a system it measures. Workloads know this file and no system; a system knows this file
 * and no workload.
 *
 * Every message of every system is the same text (`message.ts`): a JSON string that begins with a number, counted by its
 * publisher from 1. Whoever receives it tells its `Sequence`, which notices what is lost, repeated or out of order.
 */
import type { Once, Sequence } from "./sequence.ts";

export const systemNames = [
  "dogear",
  "dogear-jetstream",
  "ws",
  "socket.io",
  "socket.io-recovery",
  "nats-ws",
  "jetstream",
  "jetstream-always",
  "mosquitto",
  "mosquitto-qos1",
  "centrifugo",
  "redis",
  "rabbitmq",
  "rabbitmq-stream",
  "kafka",
] as const;

export type SystemName = (typeof systemNames)[number];

/**
 * What an acknowledged message survives: nothing is acknowledged; nothing, as it is in memory only; the process killed;
 * power loss, as it was flushed; the loss of a machine, as others have it too, flushed or not.
 */
export type Durability = "nothing" | "memory" | "process" | "flushed" | "replicated";

/** What a system can do beyond sending a message to whoever is there. Workloads are for those that can. */
export type Capability =
  /** It confirms each publish. */
  | "acknowledges"
  /** It stores no second message under an id that it has seen in the last two minutes. */
  | "ids"
  /** It keeps channels apart, also several on one connection. */
  | "channels"
  /** It selects channels by pattern: `*` is one level, a final `>` is one or more. */
  | "wildcards"
  /** It gives all that was published to one that comes late: `from: "earliest"`. */
  | "replays"
  /** It gives one that comes back what it missed: `from: { place }`. */
  | "resumes"
  /** Members of a group compete for messages, and settle each. */
  | "groups"
  /** It remembers how far a subscriber has come. */
  | "cursors";

export interface System {
  readonly name: SystemName;
  /** What it was set to, in a line that whoever runs one understands. */
  readonly settings: string;
  /** What an acknowledgement means with these settings. */
  readonly durability: Durability;
  readonly can: readonly Capability[];
  /** Workloads that it could do but is not measured in, each with the reason. */
  readonly leavesOut?: Readonly<Record<string, string>>;
  /** Why it cannot be measured on this machine; `undefined` where it can. */
  absence(): string | undefined;
  /**
   * Starts it as a process of its own that keeps what it stores in the folder, which exists. Started again with the
   * folder of one that was stopped, it goes on with what that had stored.
   */
  start(folder: string): Promise<Running>;
}

export interface Running {
  /** All processes of it: their CPU time and memory are added up. */
  readonly pids: readonly number[];
  readonly folder: string;
  readonly version: string;
  /** Where its WebSocket, or other, port is. */
  readonly url: string;
  readonly client: Client;
  stop(): Promise<void>;
}

/** Speaks to one running system as cheaply as can be, so that the system is measured and not its client. */
export interface Client {
  publisher(options: PublisherOptions): Promise<Publisher>;
  /** Resolves once it is subscribed: what is published from then on reaches it. */
  subscriber(options: SubscriberOptions): Promise<Subscriber>;
  /** Where the system has groups. Resolves once the member may be given messages. */
  worker?(options: WorkerOptions): Promise<Worker>;
  /** Reads so many messages, from the first, by the library that its users use, decoded and handed to a handler. */
  readByLibrary?(channel: string, count: number): Promise<void>;
}

export interface PublisherOptions {
  /** Unique in a run. */
  readonly name: string;
  /** Where the message of this number goes. Names are levels joined by dots; a system with other rules translates. */
  readonly channel: (number: number) => string;
  /** The size of a message: of its JSON text with the quotation marks. */
  readonly bytes: number;
  /** How many it keeps unacknowledged by itself; 0 sends only what `sendMore` says. */
  readonly inFlight: number;
  /** Each message has an id, which no other has. Only where there are `ids`. */
  readonly ids?: boolean;
}

export interface Publisher {
  /** The highest number sent. */
  readonly sent: number;
  /** How many were confirmed; stays 0 where the system confirms nothing. Confirmations come in order. */
  readonly acknowledged: number;
  /** Why this run does not count: a publish was refused, or the connection was lost. */
  readonly fault: string | undefined;
  onAcknowledged: () => void;
  /** Sends so many now, together if the system has a way to. */
  sendMore(count: number): void;
  /** Sends nothing more by itself. */
  stop(): void;
  close(): void;
}

export interface SubscriberOptions {
  /** A channel or pattern, or several, all on one connection. */
  readonly channel: string | readonly string[];
  /** A place is what `place` of an earlier subscriber returned. */
  readonly from: "latest" | "earliest" | { readonly place: unknown };
  /** Takes the number of each message; one that resumes is given the sequence of the one it goes on for. */
  readonly sequence: Sequence;
  /** An address of this machine to connect from, as one address has too few ports. */
  readonly localAddress?: string;
  /** A durable cursor of this name, acknowledged after each batch or each message. Only where there are `cursors`. */
  readonly cursor?: string;
}

export interface Subscriber {
  /** Called after the sequence has taken a stretch of messages: the number of its first, and how many they are. */
  onProgress: (first: number, count: number) => void;
  /** Why this run does not count, other than what the sequence says: the connection was lost, or it was told of a gap. */
  readonly fault: string | undefined;
  /** How often the system stopped sending live and went back to its log, where it says so. */
  readonly behind?: number;
  /** Where it is, for one that comes back; only where the system `resumes`. */
  place?(): unknown;
  /** Stops reading from the connection, as a slow client does. */
  pause(): void;
  resume(): void;
  /** Breaks the connection without a word, as a client that loses its network does. */
  close(): void;
}

export interface WorkerOptions {
  /** Unique in a group. */
  readonly name: string;
  readonly group: string;
  readonly channel: string;
  /** How many unsettled messages it may hold. */
  readonly window: number;
  /** Takes the number of each message that any member of the group is given. */
  readonly once: Once;
}

/** Settles each message at once. */
export interface Worker {
  /** How many of its settlements the system has confirmed; where it confirms none, how many it has sent. */
  readonly settled: number;
  readonly fault: string | undefined;
  onTaken: () => void;
  close(): void;
}
