/**
 * The names of what a cluster keeps for Dogear. Everything begins with the prefix of the hubs that belong together:
 *
 *     <prefix>-log-<namespace>                                stream of a namespace
 *     <prefix>.log.<namespace>.<producer>.<kind>.<channel>    subject of a message
 *     <prefix>-state                                          bucket of the records
 *     <prefix>.hub.<id>.<topic>  <prefix>.hubs.<topic>        what hubs say to each other
 *
 * A producer stands in a subject under a hash of its name, `_` stands for nobody. A kind is `h` for channels with a
 * level that is the hub's own and `c` for all others, so that a wildcard of NATS selects what one of ours does.
 */
import { createHash } from "node:crypto";
import { type Channel, isWildcard, type Pattern } from "@dogear/shared";

export function streamName(prefix: string, namespace: string): string {
  return `${prefix}-log-${namespace}`;
}

export function bucketName(prefix: string): string {
  return `${prefix}-state`;
}

/** 22 characters that stand for the name of a producer, or an id: 131 bits, so no two are taken for each other. */
export function tokenOf(name: string): string {
  return createHash("sha256").update(name).digest("base64url").slice(0, 22);
}

/** The subjects of one namespace. */
export class Subjects {
  /** Of all messages. */
  readonly all: string;
  readonly #root: string;
  /** How long what stands before the producer is. */
  readonly #rootLength: number;

  constructor(prefix: string, namespace: string) {
    this.#root = `${prefix}.log.${namespace}.`;
    this.#rootLength = this.#root.length;
    this.all = `${this.#root}>`;
  }

  /** Of a message: `token` stands for its producer, `_` for nobody. */
  of(channel: Channel, token: string): string {
    return `${this.#root}${token}.${kindOf(channel)}.${channel}`;
  }

  /** Of everything by a producer. */
  by(token: string): string {
    return `${this.#root}${token}.>`;
  }

  /** Of what matches a pattern, and perhaps of more: see `selectsExactly`. */
  matching(pattern: Pattern): string {
    return `${this.#root}*.${kindOf(pattern)}.${pattern}`;
  }

  /** The channel that a subject names. */
  channelOf(subject: string): Channel {
    // The kind is one character.
    return subject.slice(subject.indexOf(".", this.#rootLength) + 3) as Channel;
  }

  /** What stands for the producer in a subject; nothing for nobody. */
  producerOf(subject: string): string | undefined {
    const token = subject.slice(this.#rootLength, subject.indexOf(".", this.#rootLength));
    return token === "_" ? undefined : token;
  }
}

/** Whether the subject of a pattern selects nothing but what matches: a wildcard of ours never stands for a `$` level. */
export function selectsExactly(pattern: Pattern): boolean {
  return !(isWildcard(pattern) && kindOf(pattern) === "h");
}

function kindOf(channel: Channel | Pattern): "c" | "h" {
  return channel.startsWith("$") || channel.includes(".$") ? "h" : "c";
}
