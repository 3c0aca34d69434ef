/**
 * Appends drafts. One commit is on its way at a time; what is handed in meanwhile goes together in the next one.
 *
 * Which drafts become messages is decided here, from what this hub knows. That it knows the truth is for the stream to
 * say: the first draft of each producer is stored only where the producer's last message is still the one it must come
 * after, and an id only where the stream has not seen it. Where it says no, what was known is forgotten, and the commit
 * is decided once more.
 */
import { type DogearError, dogearError, type Offset } from "@dogear/shared";
import type { Chance, Clock } from "../../runtime/clock.ts";
import { type Accepted, type Admitted, admit } from "../admission.ts";
import { CommitQueue } from "../commit-queue.ts";
import type { Appended, Draft, NamespacePolicy, Origin } from "../engine.ts";
import { RecentIds } from "../recent-ids.ts";
import { bodyOf, timeOfBody } from "../text.ts";
import type { Cluster } from "./cluster.ts";
import type { KnownProducers } from "./known-producers.ts";
import { type LogStream, numberHeader } from "./log-stream.ts";
import { tokenOf } from "./names.ts";
import { batchMessagesMax, type Outcome, type Outgoing, Publisher } from "./publisher.ts";

export interface AppenderParts {
  readonly cluster: Cluster;
  readonly stream: LogStream;
  readonly producers: KnownProducers;
  readonly policy: NamespacePolicy;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Throws where nothing must be appended any more. */
  readonly check: () => void;
  /** Something was stored, up to and including this. */
  readonly stored: (newest: Offset) => void;
}

/** The drafts of one call, and when they came. */
interface Request {
  readonly drafts: readonly Draft[];
  readonly since: number;
}

/** The times of a commit. */
interface When {
  /** When the first of its requests came, by the monotonic clock. */
  readonly since: number;
  /** The time of its messages: the same for all, however they are stored. */
  readonly time: number;
}

/** A commit is full with as many drafts as a batch takes; see `CommitQueue`. */
const draftWeight = (4 * 1_024 * 1_024) / batchMessagesMax;
/** So few requests for one draft each are stored one after the other: a batch of them takes longer, because a server stages it in a store of its own. */
const aloneMax = 4;
/** What waited for longer was frozen together with its process: whoever waits for it has given up. */
const waitMsMax = 5_000;
const attemptsMax = 8;
const retryMs = 10;
/** Stands for the offset of the first draft of a commit, until the stream has said what it is. */
const unknownFirst = 2 ** 52;

type ByProducer = Extract<Origin, { by: "producer" }>;

export class Appender {
  readonly #parts: AppenderParts;
  readonly #publisher: Publisher;
  readonly #commits: CommitQueue<Request, readonly Appended[] | DogearError>;
  readonly #ids: RecentIds;
  #time = 0;

  constructor(parts: AppenderParts) {
    const { cluster, policy, clock, chance } = parts;
    this.#parts = parts;
    this.#publisher = new Publisher(cluster, chance);
    this.#ids = new RecentIds(policy.deduplicationWindowMs, policy.deduplicationIdsMax);
    this.#commits = new CommitQueue((requests) => this.#commit(requests), weight, clock);
  }

  async append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    if (drafts.length === 0) return [];
    this.#checkSizes(drafts);
    const answer = await this.#commits.submit({ drafts, since: this.#parts.clock.monotonic() });
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** Messages were seen that have this time: those to come have no earlier one. */
  reach(time: number): void {
    if (time > this.#time) this.#time = time;
  }

  /** Resolves when every append was answered. */
  idle(): Promise<void> {
    return this.#commits.idle();
  }

  #checkSizes(drafts: readonly Draft[]): void {
    const { bytesMax } = this.#publisher;
    for (const draft of drafts) {
      if (draft.data.length + 3 * draft.attributes.length + 2 * draft.channel.length > bytesMax) {
        throw dogearError("message-too-large", "NATS takes no message so large: see max_payload of its servers.");
      }
    }
  }

  /** Answers requests one by one: those of one batch may fail while others are stored. */
  async #commit(requests: readonly Request[]): Promise<readonly (readonly Appended[] | DogearError)[]> {
    const answers: (readonly Appended[] | DogearError)[] = [];
    for (const group of grouped(requests)) answers.push(...(await this.#commitGroup(group)));
    return answers;
  }

  async #commitGroup(group: readonly Request[]): Promise<readonly (readonly Appended[] | DogearError)[]> {
    const drafts = group.flatMap((request) => request.drafts);
    this.reach(this.#parts.clock.now());
    const when: When = { since: Math.min(...group.map((request) => request.since)), time: this.#time };
    const areFew = drafts.length <= aloneMax && drafts.length === group.length;
    const atOnce = areFew ? 1 : batchMessagesMax;
    const appended: Appended[] = [];
    let failure: DogearError | undefined;
    try {
      for (let from = 0; from < drafts.length; from += atOnce) {
        appended.push(...(await this.#commitBatch(drafts.slice(from, from + atOnce), when)));
      }
    } catch (error) {
      this.#parts.producers.forget(producersOf(drafts));
      failure = error as DogearError;
    }
    let at = 0;
    return group.map(({ drafts: { length } }) => {
      at += length;
      if (failure === undefined || at <= appended.length) return appended.slice(at - length, at);
      // Of a request that was stored in part nobody can say that it was not.
      return at - length < appended.length ? dogearError("unavailable", undefined, { cause: failure }) : failure;
    });
  }

  async #commitBatch(drafts: readonly Draft[], when: When): Promise<readonly Appended[]> {
    const { producers, clock, policy } = this.#parts;
    const { time } = when;
    let checked = false;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await producers.learn(producersOf(drafts));
      const commit = new Commit(await this.#results(drafts), this.#parts.producers, this.#ids);
      const admitted = admit(drafts, unknownFirst as Offset, time, commit);
      if (!checked && admitted.answers.some((answer) => "refused" in answer)) {
        // Another hub may have published for the same producer since.
        checked = true;
        producers.forget(producersOf(drafts));
        continue;
      }
      const outcome = await this.#publish(admitted.accepted, when);
      if (outcome.is === "stored") return await this.#settle(admitted, commit, outcome.first);
      if (outcome.is === "some-duplicate") return await this.#commitEach(drafts, when);
      if (outcome.is === "duplicate") {
        const [{ draft }] = admitted.accepted as readonly [Accepted];
        if (drafts.length > 1) return await this.#commitEach(drafts, when);
        return [await this.#recognised(draft, outcome.offset, when)];
      }
      if (outcome.is === "overtaken") producers.forget(producersOf(drafts));
      await new Promise<void>((resolve) => void clock.after(attempt * retryMs, resolve));
    }
    throw dogearError("unavailable", `The stream of ${policy.namespace} refused it ${attemptsMax} times.`);
  }

  async #publish(accepted: readonly Accepted[], { time, since }: When): Promise<Outcome> {
    const { cluster, check, clock } = this.#parts;
    if (accepted.length === 0) return { is: "stored", first: 0 as Offset };
    check();
    cluster.checkWritable();
    if (clock.monotonic() - since > waitMsMax) throw dogearError("unavailable", "It waited for too long.");
    return this.#publisher.publish(this.#outgoing(accepted, time));
  }

  #outgoing(accepted: readonly Accepted[], time: number, id?: string): readonly Outgoing[] {
    const { stream, producers } = this.#parts;
    const seen = new Set<string>();
    return accepted.map(({ draft }) => {
      const { origin } = draft;
      const body = bodyOf(draft, time);
      const named = id ?? (draft.id === undefined ? undefined : tokenOf(draft.id));
      if (origin.by === "nobody") return { subject: stream.subjects.of(draft.channel, "_"), body, id: named };
      const token = tokenOf(origin.producer);
      const isFirst = !seen.has(token);
      seen.add(token);
      return {
        subject: stream.subjects.of(draft.channel, token),
        body,
        id: named,
        fields: { [numberHeader]: [`${origin.number}`] },
        expects: isFirst
          ? { subject: stream.subjects.by(token), last: producers.lastMessage(origin.producer) }
          : undefined,
      };
    });
  }

  /** What became of those numbers among the drafts that were used before. */
  async #results(drafts: readonly Draft[]): Promise<ReadonlyMap<string, Appended>> {
    const { producers } = this.#parts;
    const results = new Map<string, Appended>();
    for (const { origin } of drafts) {
      if (origin.by === "nobody") continue;
      const { producer, number, previous } = origin;
      if (previous !== "repeat" && number > producers.last(producer).number) continue;
      results.set(resultKey(origin), await producers.settled(producer, number));
    }
    return results;
  }

  async #settle({ accepted, answers, settle }: Admitted, commit: Commit, first: Offset): Promise<readonly Appended[]> {
    const { producers, stored } = this.#parts;
    commit.first = first;
    if (accepted.length > 0) stored((first + accepted.length - 1) as Offset);
    settle();
    await Promise.all(commit.unseen(accepted).map((producer) => producers.store(producer, this.#time)));
    return answers.map((answer) =>
      "refused" in answer ? answer : { ...answer, offset: commit.placed(answer.offset) },
    );
  }

  async #commitEach(drafts: readonly Draft[], when: When): Promise<readonly Appended[]> {
    const answers: Appended[] = [];
    for (const draft of drafts) answers.push(...(await this.#commitBatch([draft], when)));
    return answers;
  }

  /** The stream has a message with the id of a draft; it may be one whose id counts as forgotten. */
  async #recognised(draft: Draft, offset: Offset, when: When): Promise<Appended> {
    const { time } = when;
    let original = offset;
    while (await this.#isForgotten(original, time)) {
      // The same for every hub, so that it is stored once.
      const id = tokenOf(`${draft.id}+${original}`);
      const outcome = await this.#publishAs(draft, id, when);
      if (outcome.is === "stored") return this.#recordAlone(draft, outcome.first, time);
      if (outcome.is !== "duplicate") throw dogearError("unavailable", "Others publish under the same id.");
      original = outcome.offset;
    }
    this.#ids.record(draft.id as string, original, time);
    await this.#useNumber(draft, time);
    return { offset: original, duplicate: true };
  }

  #publishAs(draft: Draft, id: string, { time, since }: When): Promise<Outcome> {
    this.#parts.check();
    if (this.#parts.clock.monotonic() - since > waitMsMax) throw dogearError("unavailable", "It waited for too long.");
    const accepted = [{ draft, offset: unknownFirst as Offset, provenance: undefined }];
    return this.#publisher.publish(this.#outgoing(accepted, time, id));
  }

  async #isForgotten(offset: Offset, time: number): Promise<boolean> {
    if (this.#ids.outgrown(offset)) return true;
    const original = await this.#parts.stream.at(offset);
    return original !== undefined && timeOfBody(original.body) <= time - this.#parts.policy.deduplicationWindowMs;
  }

  #recordAlone({ id, origin }: Draft, offset: Offset, time: number): Appended {
    this.#parts.stored(offset);
    this.#ids.record(id as string, offset, time);
    if (origin.by === "producer") this.#parts.producers.record(origin.producer, origin.number, offset, time);
    return { offset, duplicate: false };
  }

  /** A draft that was known by its id uses up its number. */
  async #useNumber({ origin }: Draft, time: number): Promise<void> {
    if (origin.by === "nobody") return;
    const { producers } = this.#parts;
    producers.record(origin.producer, origin.number, producers.last(origin.producer).offset, time);
    await producers.store(origin.producer, time);
  }
}

/** What one commit is decided by, and what it adds to it once it is known where its messages went. */
class Commit {
  readonly producers: { last: KnownProducers["last"]; record: KnownProducers["record"]; settled: Settled };
  readonly ids: Pick<RecentIds, "find" | "record">;
  first = 0 as Offset;
  readonly #numbers = new Map<string, number>();

  constructor(results: ReadonlyMap<string, Appended>, producers: KnownProducers, ids: RecentIds) {
    this.producers = {
      last: (producer) => producers.last(producer),
      record: (producer, number, offset, time) => {
        this.#numbers.set(producer, number);
        producers.record(producer, number, this.placed(offset), time);
      },
      settled: (producer, number) => results.get(resultKey({ producer, number })) ?? { refused: "outcome-unknown" },
    };
    this.ids = {
      find: (id, now) => ids.find(id, now),
      record: (id, offset, time) => ids.record(id, this.placed(offset), time),
    };
  }

  /** The producers whose last number now has no message of its own: their drafts were known by their ids. */
  unseen(accepted: readonly Accepted[]): readonly string[] {
    const seen = new Map<string, number>();
    for (const { provenance } of accepted) if (provenance) seen.set(provenance.producer, provenance.number);
    return [...this.#numbers]
      .filter(([producer, number]) => seen.get(producer) !== number)
      .map(([producer]) => producer);
  }

  /** Where a message of this commit went; other offsets stay as they are. */
  placed(offset: Offset): Offset {
    return offset < unknownFirst ? offset : ((offset - unknownFirst + this.first) as Offset);
  }
}

type Settled = (producer: string, number: number) => Appended;

function resultKey({ producer, number }: Pick<ByProducer, "producer" | "number">): string {
  return `${number} ${producer}`;
}

function producersOf(drafts: readonly Draft[]): ReadonlySet<string> {
  const producers = new Set<string>();
  for (const { origin } of drafts) if (origin.by === "producer") producers.add(origin.producer);
  return producers;
}

function weight({ drafts }: Request): number {
  return drafts.reduce((sum, { data }) => sum + Math.max(draftWeight, data.length), 0);
}

/** Requests that go together in one batch. One that is larger than a batch goes alone, in several. */
function grouped(requests: readonly Request[]): readonly (readonly Request[])[] {
  const groups: Request[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const request of requests) {
    if (length + request.drafts.length > batchMessagesMax) {
      groups.push([]);
      length = 0;
    }
    (groups.at(-1) as Request[]).push(request);
    length += request.drafts.length;
  }
  return groups;
}
