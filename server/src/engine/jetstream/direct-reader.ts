/**
 * Reads stretches of a stream from whichever of its replicas answers. Each message says which one was sent before it, so
 * that one that was lost on the way is noticed.
 */
import { dogearError, type Offset } from "@dogear/shared";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import type { Clock } from "../../runtime/clock.ts";
import type { Stored } from "../text.ts";
import type { Cluster } from "./cluster.ts";
import type { LogStream } from "./log-stream.ts";

export interface Stretch {
  readonly messages: readonly Stored[];
  /** How many more the replica had. */
  readonly pending: number;
}

interface Ask {
  readonly seq: number;
  readonly next_by_subj: string;
  readonly batch: number;
  readonly max_bytes: number;
}

interface Reading {
  readonly messages: Stored[];
  last: number;
  /** With nothing: it fell silent. */
  readonly resolve: (stretch: Stretch | undefined) => void;
  readonly reject: (error: unknown) => void;
  lastHeard: number;
}

/**
 * A replica that stands still goes on being asked by the servers for a minute; each question goes to one by chance. So
 * one that was not answered soon is asked again.
 */
const silentMs = 1_000;
const triesMax = 5;

export class DirectReader {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #stream: LogStream;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  readonly #readings = new Map<string, Reading>();
  #count = 0;

  constructor(cluster: Cluster, clock: Clock, stream: LogStream) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#stream = stream;
    this.#subscription = cluster.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        const reading = error === null ? this.#readings.get(message.subject) : undefined;
        if (reading !== undefined) this.#hear(reading, message);
      },
    });
  }

  /** What is under a subject from an offset on: no more than so many messages, and none after so many bytes. */
  async read(from: number, subject: string, messagesMax: number, bytesMax: number): Promise<Stretch> {
    const ask: Ask = { seq: Math.max(1, from), next_by_subj: subject, batch: messagesMax, max_bytes: bytesMax };
    for (let tries = 0; tries < triesMax; tries++) {
      const stretch = await this.#ask(ask);
      if (stretch !== undefined) return stretch;
    }
    throw dogearError("unavailable", "NATS does not answer.");
  }

  #ask(ask: Ask): Promise<Stretch | undefined> {
    const reply = `${this.#inbox}.${++this.#count}`;
    let cancel = () => {};
    const reading = new Promise<Stretch | undefined>((resolve, reject) => {
      const reading: Reading = { messages: [], last: 0, resolve, reject, lastHeard: this.#clock.monotonic() };
      this.#readings.set(reply, reading);
      const watch = (ms: number) => {
        cancel = this.#clock.after(ms, () => {
          const leftMs = reading.lastHeard + silentMs - this.#clock.monotonic();
          if (leftMs > 0) watch(leftMs);
          else resolve(undefined);
        });
      };
      watch(silentMs);
      this.#cluster.connection.publish(`$JS.API.DIRECT.GET.${this.#stream.name}`, JSON.stringify(ask), { reply });
    });
    return this.#cluster
      .attempt(() => reading)
      .finally(() => {
        cancel();
        this.#readings.delete(reply);
      });
  }

  close(): void {
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
    for (const { reject } of this.#readings.values()) reject(dogearError("unavailable", "The log is closed."));
  }

  #hear(reading: Reading, message: Msg): void {
    const { headers } = message;
    reading.lastHeard = this.#clock.monotonic();
    const code = headers?.code ?? 0;
    const before = Number(headers?.get("Nats-Last-Sequence"));
    if (code === 404) return reading.resolve({ messages: [], pending: 0 });
    if (code !== 0 && code !== 204) {
      return reading.reject(dogearError("unavailable", `NATS answers ${code} ${headers?.description}.`));
    }
    if (before !== reading.last) return reading.reject(dogearError("unavailable", "A message was lost on its way."));
    if (code === 204) {
      return reading.resolve({ messages: reading.messages, pending: Number(headers?.get("Nats-Num-Pending")) });
    }
    const offset = Number(headers?.get("Nats-Sequence")) as Offset;
    reading.last = offset;
    const channel = this.#stream.subjects.channelOf(headers?.get("Nats-Subject") ?? "");
    reading.messages.push({ offset, channel, body: message.data });
  }
}
