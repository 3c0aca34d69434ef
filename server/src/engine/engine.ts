/**
 * The seam between the hub and where its logs and its state live.
 *
 * Mechanism is below it: storage, durability, deduplication, retention. Policy is above it: sessions, fan-out,
 * access, encoding. What an engine must do is written as a test, `test/contract/engine.ts`, and the in-memory
 * engine is the shortest thing that passes it.
 */
import type { Channel, Durability, Epoch, ErrorCode, Gap, Offset, Pattern } from "@dogear/shared";
import type { Messages } from "./messages.ts";

export interface Engine {
  /**
   * Opens the log of a namespace, creating it where there is none. A policy the engine cannot honour is refused
   * here, by name, and not by silently doing less.
   */
  open(policy: NamespacePolicy): Promise<Log>;

  /** Small records beside the logs: cursors and the like. */
  readonly state: State;

  /** The other hubs on this engine. */
  readonly peers: Peers;

  /** How it is, as far as it knows without looking. */
  health(): Health;

  /** Lets what is under way finish, then releases everything. */
  close(): Promise<void>;
}

export interface Health {
  /** Whether a publish that is handed in now can be acknowledged. */
  readonly writable: boolean;
  /** What the disk has left; `undefined` where there is no disk. */
  readonly freeBytes: number | undefined;
}

export interface NamespacePolicy {
  readonly namespace: string;
  /** `disk`: flushed before it is acknowledged. `memory`: gone when the hub stops, under a new epoch each time. */
  readonly durability: "disk" | "memory";
  readonly retention: {
    /** Messages older than this may be removed. Never, where it is undefined. */
    readonly ageMs: number | undefined;
    /** The oldest messages may be removed while the log is larger than this. */
    readonly bytes: number | undefined;
  };
  /** How long an explicit id is remembered, and how many at most. */
  readonly deduplicationWindowMs: number;
  readonly deduplicationIdsMax: number;
  /** How long a producer not heard of is remembered. */
  readonly producerMemoryMs: number;
}

/** The log of one namespace. */
export interface Log {
  /** The incarnations this log has been through, oldest first; the last one is today's. */
  readonly lineage: readonly Era[];

  /** What an appended message survives. */
  readonly durability: Durability;

  /**
   * Appends drafts in order and answers each, once durable. Drafts handed in by several calls share a flush.
   * Rejects with `disk-full` or `unavailable` where none of them was appended.
   */
  append(drafts: readonly Draft[]): Promise<readonly Appended[]>;

  /**
   * What matches after an offset, oldest first, as much as the budget allows. An empty page is not the end: `through`
   * says how far the log was read. Never shows a message that could still be lost to the failure `durability` names.
   */
  read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page>;

  /** The whole namespace in order, from an offset on, without end, until `signal` aborts. One per hub. */
  follow(after: Offset, signal: AbortSignal): AsyncIterable<Batch>;

  /** The oldest offset retained (one past the newest where nothing is) and the newest durable one (0 where none). */
  bounds(): Promise<Bounds>;

  /**
   * How many retained messages match after an offset. What is appended while it counts is left out, and counts asked for
   * in one turn see the same newest message; what is removed while it counts may be left out too.
   */
  count(pattern: Pattern, after: Offset): Promise<number>;

  /** The channels that retained messages are in, ordered by name: the next after a name, or the first. */
  channels(after: string, limit: number): Promise<readonly ChannelCount[]>;

  /** The last offset before a time: what follows it was appended at that time or later. */
  offsetAt(time: number): Promise<Offset>;

  /** The last number of a producer in this log, 0 where it knows none. Asking counts as hearing of it. */
  lastNumber(producer: string): Promise<number>;

  /**
   * Names the one who is told before retention removes anything up to and including `through`; it is named before the
   * log is used, and once. Until what it returns has resolved, all of that stays, and the log can be used as ever, also
   * by the listener itself. Where it rejects, the removal is put off and it is asked again later. `close` waits for it.
   */
  beforeRemoval(call: (through: Offset) => Promise<void>): void;
}

/** One incarnation of a log: its name and its first offset. It ends where the next one begins. */
export interface Era {
  readonly epoch: Epoch;
  readonly first: Offset;
}

/** What a publisher hands in, in (nearly) its wire form. */
export interface Draft {
  readonly channel: Channel;
  /** The optional fields as they stand in the wire form, each with a comma before it: `,"key":"a"`, or nothing. */
  readonly attributes: string;
  /** The JSON text of `data`. The engine reads it until the append is answered. */
  readonly data: Uint8Array;
  /** An explicit id, remembered for a while. It includes whatever scopes it. */
  readonly id?: string | undefined;
  readonly origin: Origin;
}

/** Whose draft it is, which makes a retry recognisable. */
export type Origin =
  | { readonly by: "nobody" }
  /** A client that numbers its drafts. */
  | {
      readonly by: "producer";
      readonly producer: string;
      readonly number: number;
      /**
       * The producer's number before this one in this log, 0 where this is its first; the draft is refused as
       * `out-of-order` where the log knows better. `"repeat"`: the number was used before, so say what became of
       * it and append nothing.
       */
      readonly previous: number | "repeat";
    };

export type Appended =
  | { readonly offset: Offset; readonly duplicate: boolean }
  | { readonly refused: Extract<ErrorCode, "out-of-order" | "outcome-unknown"> };

/** The most a read may return, and the most it may look at. At least one message is returned where one matches. */
export interface Budget {
  readonly messages: number;
  readonly bytes: number;
  /** Bytes of the log to look at. */
  readonly scan: number;
}

export interface Page {
  /** What can no longer be given of the range asked for; the messages come after it. */
  readonly gap: Gap | undefined;
  readonly messages: Messages;
  readonly through: Offset;
}

/** A channel, and how many of its messages are retained. */
export interface ChannelCount {
  readonly channel: Channel;
  readonly messages: number;
}

/** A stretch of the log: everything after `after`, up to and including `through`. */
export interface Batch {
  readonly after: Offset;
  readonly through: Offset;
  readonly messages: Messages;
}

export interface Bounds {
  readonly oldest: Offset;
  readonly newest: Offset;
}

/**
 * A small store of records, each with a version. Versions only grow, and no two writes are given the same one: a record
 * that was removed and stored again never has a version that somebody may remember from before.
 *
 * Keys are printable ASCII, at most `keyBytesMax`. A value belongs to the store from when it is handed in: it is not
 * copied, and must not change any more.
 */
export interface State {
  get(key: string): Promise<Entry | undefined>;
  /**
   * Stores a record if its version is still the one given (0: if there is none) and resolves, once it is as durable
   * as the engine, with the new version; with `undefined` where another version was found and nothing was stored.
   */
  put(key: string, value: Uint8Array, version: number): Promise<number | undefined>;
  /**
   * Makes several changes in the order given, each only if its record's version is still the one given. Resolves, once
   * all are as durable as the engine, with the new versions (0 for a removed record); with `undefined` where a record
   * had another version.
   *
   * What is stored after a crash or a mismatch is the first ones of the changes. The embedded engines make all of them
   * or none; a distributed one may only manage to keep the order, so whoever needs more puts what decides last.
   *
   * Each key may be named once.
   */
  putAll(changes: readonly Change[]): Promise<readonly number[] | undefined>;
  /** The records whose key starts with `prefix` and is greater than `after`, ordered by key, at most `limit`. */
  list(prefix: string, after?: string, limit?: number): Promise<readonly KeyedEntry[]>;
  /**
   * The records whose key starts with `prefix`, as they are and then as they change, whoever changes them; without end,
   * until `signal` aborts. Of one that changes faster than it is taken, those between may be left out; the last one never is.
   * Rejects with `unavailable` where it cannot go on: whoever begins anew misses nothing.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<Changed>;
}

/** A record after it changed. */
export interface Changed {
  readonly key: string;
  /** `undefined`: it was removed. */
  readonly value: Uint8Array | undefined;
  /** 0 for one that was removed. */
  readonly version: number;
}

/** Names a running hub. */
export type HubId = string;

/**
 * The hubs that share an engine. What one says to another arrives in the order it was said, or is lost: nothing that must
 * hold may depend on it. An embedded engine has one hub, who talks to nobody.
 */
export interface Peers {
  /**
   * Names this hub, in letters and digits. Where hubs can share the engine it is another one each time the engine is
   * opened.
   */
  readonly self: HubId;
  /** Whether there can be other hubs at all. Where none is heard of, one may be that stands still. */
  readonly canBe: boolean;
  /** The other hubs that were heard of lately. */
  readonly others: readonly HubId[];
  /**
   * Whether a hub is there, as far as this one can know: it was heard of within `silentMs`, or this one has not listened
   * for so long yet. One that stood still may be wrong about others, and others about it.
   */
  isThere(hub: HubId): boolean;
  /** Adds one who is told when another hub is there no more: it has stopped, or was not heard of. */
  onGone(listener: (hub: HubId) => void): void;
  /** Names the one who hears what is said and answers what is asked under a topic; once for each topic. */
  on(topic: string, listener: PeerListener): void;
  /** Says something to another hub. */
  tell(hub: HubId, topic: string, words: Uint8Array): void;
  /** Says something to all other hubs. */
  tellAll(topic: string, words: Uint8Array): void;
  /**
   * Asks another hub. Rejects with `unavailable` where it is not there, its listener rejects, or it does not answer within
   * `timeoutMs` milliseconds: then what it did is not known.
   */
  ask(hub: HubId, topic: string, words: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

/** A hub that others have not heard of for so long counts as gone, in milliseconds. */
export const silentMs = 5_000;

/** Hears what is said, and where it is a question answers it. */
export type PeerListener = (words: Uint8Array, from: HubId) => Promise<Uint8Array> | undefined;

export interface Entry {
  readonly value: Uint8Array;
  readonly version: number;
}

export interface KeyedEntry extends Entry {
  readonly key: string;
}

export interface Change {
  readonly key: string;
  /** What to store; `undefined` removes the record. */
  readonly value: Uint8Array | undefined;
  /** The version the record must have; 0 where there must be none. */
  readonly version: number;
}
