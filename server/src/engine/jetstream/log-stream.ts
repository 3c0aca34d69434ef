/**
 * The stream that holds one log: what Dogear asks of it, how it is now, and what its leader has, who is asked where a
 * replica that lags behind would give a wrong answer.
 */
import type { Offset } from "@dogear/shared";
import { dogearError } from "@dogear/shared";
import type { PurgeOpts, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { NamespacePolicy } from "../engine.ts";
import { askTimeoutMs, type Cluster } from "./cluster.ts";
import { type ApiFailure, codeOf, codes, failure, translated } from "./failures.ts";
import { Subjects, streamName } from "./names.ts";

/** How a stream is. */
export interface StreamFacts {
  /** What names its incarnation. */
  readonly id: string;
  /** One past the newest where there is none. */
  readonly oldest: Offset;
  readonly newest: Offset;
  readonly bytes: number;
}

/** A message as the leader has it. */
export interface LeaderMessage {
  readonly offset: Offset;
  readonly subject: string;
  readonly body: Uint8Array;
  /** Of its producer; 0 where it has none. */
  readonly number: number;
}

export const numberHeader = "Dogear-Number";

const idKey = "dogear.epoch";
const versionKey = "dogear.version";
const nanosPerMs = 1_000_000;
/** The server takes no shorter one. */
const windowMsMin = 2_000;

export interface LogStreamParts {
  readonly cluster: Cluster;
  readonly policy: NamespacePolicy;
  readonly clock: Clock;
  readonly chance: Chance;
}

export class LogStream {
  readonly name: string;
  readonly subjects: Subjects;
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  /** The question that is sent next, which everybody shares who asks before. */
  #next: Promise<StreamFacts> | undefined;
  #asked: Promise<unknown> = Promise.resolve();

  /** Opens the stream of a namespace, and creates it where there is none. One that is not as it must be is refused. */
  static async open(parts: LogStreamParts): Promise<LogStream> {
    const { cluster, policy, chance } = parts;
    const stream = new LogStream(parts);
    const wanted = stream.#config(policy);
    const found = await stream.#find();
    if (found === undefined) {
      const metadata = { [idKey]: chance.id(), [versionKey]: "1" };
      await cluster
        .attempt(() => cluster.jsm.streams.add({ ...wanted, metadata }))
        .catch(async (error) => {
          // Another hub may have been faster.
          if ((await stream.#find()) === undefined) throw error;
        });
      return stream;
    }
    checkConfig(found.config, wanted);
    if (found.config.duplicate_window !== wanted.duplicate_window) {
      await cluster.attempt(() =>
        cluster.jsm.streams.update(stream.name, { duplicate_window: wanted.duplicate_window as number }),
      );
    }
    return stream;
  }

  private constructor({ cluster, policy, clock }: LogStreamParts) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.name = streamName(cluster.settings.prefix, policy.namespace);
    this.subjects = new Subjects(cluster.settings.prefix, policy.namespace);
  }

  /** How the stream is at some time from now on. */
  facts(): Promise<StreamFacts> {
    this.#next ??= this.#ask();
    return this.#next;
  }

  /** The message with an offset. */
  at(offset: Offset): Promise<LeaderMessage | undefined> {
    return this.#get({ seq: offset });
  }

  /** The first message under a subject from an offset on. */
  nextFrom(offset: number, subject: string): Promise<LeaderMessage | undefined> {
    return this.#get({ seq: Math.max(1, offset), next_by_subj: subject });
  }

  /** The last message under a subject. */
  lastOf(subject: string): Promise<LeaderMessage | undefined> {
    return this.#get({ last_by_subj: subject });
  }

  /** How many messages there are under each subject. */
  async subjectCounts(): Promise<Readonly<Record<string, number>>> {
    const { subjects } = this;
    const { state } = await this.#cluster.attempt(() =>
      this.#cluster.jsm.streams.info(this.name, { subjects_filter: subjects.all }),
    );
    return state.subjects ?? {};
  }

  /** Removes everything up to and including an offset. */
  async removeThrough(through: Offset): Promise<void> {
    const upTo: PurgeOpts = { seq: through + 1 };
    await this.#cluster.attempt(() => this.#cluster.jsm.streams.purge(this.name, upTo));
  }

  async delete(): Promise<void> {
    await this.#cluster.attempt(() => this.#cluster.jsm.streams.delete(this.name));
  }

  async #ask(): Promise<StreamFacts> {
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
    // One question at a time: those who come meanwhile share the next.
    await this.#asked;
    this.#next = undefined;
    const asking = this.#cluster.ask(async () => factsOf(await this.#cluster.asking.streams.info(this.name)));
    this.#asked = asking.catch(() => {});
    return asking;
  }

  async #get(query: Query): Promise<LeaderMessage | undefined> {
    const { message, error } = await this.#cluster.ask(async () => {
      const subject = `$JS.API.STREAM.MSG.GET.${this.name}`;
      const options = { timeout: askTimeoutMs };
      return (await this.#cluster.connection.request(subject, JSON.stringify(query), options)).json<Answer>();
    });
    if (error?.err_code === codes.noMessageFound) return undefined;
    if (error !== undefined) throw translated(failure(error));
    const { seq, subject, data = "", hdrs = "" } = message as FoundMessage;
    const number = numberIn.exec(Buffer.from(hdrs, "base64").toString())?.[1] ?? 0;
    return { offset: seq as Offset, subject, body: Buffer.from(data, "base64"), number: Number(number) };
  }

  async #find(): Promise<StreamInfo | undefined> {
    try {
      return await this.#cluster.jsm.streams.info(this.name);
    } catch (error) {
      if (codeOf(error) === codes.streamNotFound) return undefined;
      throw translated(error);
    }
  }

  #config({ durability, deduplicationWindowMs }: NamespacePolicy): StreamSettings {
    const { replicas } = this.#cluster.settings;
    const inMemory = durability === "memory";
    return {
      name: this.name,
      subjects: [this.subjects.all],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      storage: inMemory ? StorageType.Memory : StorageType.File,
      num_replicas: inMemory ? 1 : replicas,
      allow_direct: true,
      allow_atomic: true,
      deny_delete: false,
      deny_purge: false,
      duplicate_window: Math.max(windowMsMin, deduplicationWindowMs) * nanosPerMs,
    };
  }
}

/** What a leader is asked for. */
type Query = { readonly seq: number; readonly next_by_subj?: string } | { readonly last_by_subj: string };

interface Answer {
  readonly error?: ApiFailure;
  readonly message?: FoundMessage;
}

interface FoundMessage {
  readonly seq: number;
  readonly subject: string;
  /** In base64, as the headers are. */
  readonly data?: string;
  readonly hdrs?: string;
}

const numberIn = new RegExp(`^${numberHeader}: *(\\d+)`, "m");

type StreamSettings = Partial<StreamConfig> & { name: string; allow_atomic: boolean };

function factsOf({ config, state }: StreamInfo): StreamFacts {
  return {
    id: config.metadata?.[idKey] ?? "",
    oldest: (state.messages === 0 ? state.last_seq + 1 : state.first_seq) as Offset,
    newest: state.last_seq as Offset,
    bytes: state.bytes,
  };
}

/** Refuses a stream that Dogear cannot use as it is, and says what to do about it. */
function checkConfig(found: StreamInfo["config"], wanted: StreamSettings): void {
  const { name } = wanted;
  if (found.metadata?.[idKey] === undefined) {
    refuse(`The stream ${name} is not Dogear's: remove it, or give Dogear another prefix.`);
  }
  const differences = (["storage", "num_replicas", "allow_direct", "allow_atomic"] as const).filter(
    (key) => settingOf(found, key) !== wanted[key],
  );
  if (found.subjects?.join() !== wanted.subjects?.join())
    refuse(`The stream ${name} has other subjects than Dogear's.`);
  if (differences.includes("storage")) {
    refuse(
      `The stream ${name} has storage ${found.storage}; it cannot be changed, so its namespace needs another name.`,
    );
  }
  const [first] = differences;
  if (first !== undefined) {
    refuse(
      `The stream ${name} has ${first} ${settingOf(found, first)}, not ${wanted[first]}: ${remedy(first, wanted)}.`,
    );
  }
}

/** A server leaves out what is false. */
function settingOf(config: StreamSettings, key: keyof StreamSettings): unknown {
  return config[key] ?? false;
}

function remedy(
  key: "num_replicas" | "allow_direct" | "allow_atomic" | "storage",
  { name, num_replicas }: StreamSettings,
) {
  if (key === "num_replicas") return `run nats stream edit ${name} --replicas ${num_replicas}, or configure as many`;
  return `run nats stream edit ${name} ${key === "allow_direct" ? "--allow-direct" : "--allow-batch"}`;
}

function refuse(detail: string): never {
  throw dogearError("unavailable", detail);
}
