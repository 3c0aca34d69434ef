/**
 * The drafts of one session on their way to the log.
 *
 * Drafts that arrive together are handed on together: a run of consecutive numbers for one namespace costs the hub
 * one call. Their bytes are bounded: above the bound the connection is not read, so that a publisher that is too fast
 * is slowed down and nothing is dropped.
 */
import {
  DogearError,
  dogearError,
  type ErrorCode,
  type Limits,
  type Offset,
  type Published,
  type Scheduled,
} from "@dogear/shared";
import type { IncomingPublish, Wait } from "../codec/codec.ts";
import type { Appended } from "../engine/engine.ts";
import { expiresAttribute, later, shorter } from "../hub/expiry.ts";
import type { Hub, Outcome } from "../hub/hub.ts";
import type { Namespace } from "../hub/namespace.ts";
import type { Schedule, Stored } from "../hub/schedules/schedules.ts";
import type { Sequencer, Unnumbered } from "../hub/sequencer.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Metrics } from "../runtime/metrics.ts";

interface Refusal {
  readonly is: "error";
  readonly code: ErrorCode;
  readonly message: string;
  readonly number: number;
}

export interface DraftsParts {
  readonly hub: Hub;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export type Answer = Published | Scheduled | Refusal;

/** Drafts that go to the log together. */
interface Run {
  readonly namespace: Namespace;
  readonly sequencer: Sequencer | undefined;
  readonly numbers: number[];
  readonly drafts: Unnumbered[];
  /** When each is due, of those that wait, and whether any does. */
  readonly dues: (number | undefined)[];
  waits: boolean;
  bytes: number;
  /** Places that are kept for drafts that wait. */
  places: number;
}

/** About what a draft takes besides its text, so that many small ones count too. */
const draftBytes = 256;

export class Drafts {
  readonly #hub: Hub;
  readonly #bytesMax: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #answer: (answers: readonly Answer[]) => void;
  #run: Run | undefined;
  #bytes = 0;
  #idle: (() => void)[] = [];

  constructor(parts: DraftsParts, answer: (answers: readonly Answer[]) => void) {
    const { hub, limits, clock, logger, metrics } = parts;
    this.#hub = hub;
    this.#bytesMax = limits.draftBytesMax;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#answer = answer;
  }

  /** As much is on its way as may be. */
  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Takes a draft, in order; it goes to the log with the next `hand`. `id` is scoped to whoever may repeat it. */
  add(publish: IncomingPublish, id: string | undefined, sequencer: Sequencer | undefined): void {
    const { number, channel, wait } = publish;
    const namespace = this.#hub.namespace(channel);
    let places = 0;
    if (wait !== undefined) {
      const place = this.#place(namespace, number, sequencer);
      if (typeof place === "string") {
        this.#metrics.publishRefused(place);
        return this.#answer([refusal(number, dogearError(place))]);
      }
      places = place;
    }
    const run = this.#runOf(namespace, number, sequencer);
    const due = wait && dueOf(wait, this.#clock.now());
    const draft = this.#draft(namespace, publish, id, due);
    run.numbers.push(number);
    run.drafts.push(draft);
    run.dues.push(due);
    if (due !== undefined) run.waits = true;
    run.bytes += draft.data.length + draft.attributes.length + draftBytes;
    run.places += places;
  }

  /** Hands on what was taken. */
  hand(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#bytes += run.bytes;
    void this.#publish(run).then((answers) => {
      this.#bytes -= run.bytes;
      this.#count(run, answers);
      this.#answer(answers);
      if (this.#bytes === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** Resolves when every draft was answered. */
  async idle(): Promise<void> {
    if (this.#bytes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Keeps a place for a draft that waits, if it takes one: a repeat does not, nor one that skips ahead. Says why not where
   * there is none.
   */
  #place(namespace: Namespace, number: number, sequencer: Sequencer | undefined): number | ErrorCode {
    const { schedules } = this.#hub;
    if (!schedules.admits(namespace)) {
      this.hand();
      return sequencer === undefined || sequencer.use(number) ? "memory-namespace" : "out-of-order";
    }
    if (schedules.reserve(namespace)) return 1;
    this.hand();
    if (sequencer !== undefined && !sequencer.expects(number)) return 0;
    // Refused for good, because everything behind it would have to wait as long as this one does.
    sequencer?.use(number);
    return "too-many-scheduled";
  }

  /** The run that a draft joins. */
  #runOf(namespace: Namespace, number: number, sequencer: Sequencer | undefined): Run {
    const run = this.#run;
    const joins = run?.namespace === namespace && run.sequencer === sequencer;
    if (run !== undefined && joins && (sequencer === undefined || run.numbers.at(-1) === number - 1)) return run;
    this.hand();
    this.#run = { namespace, sequencer, numbers: [], drafts: [], dues: [], waits: false, bytes: 0, places: 0 };
    return this.#run;
  }

  #draft(
    namespace: Namespace,
    { channel, attributes, payload, ttlMs }: IncomingPublish,
    id: string | undefined,
    due: number | undefined,
  ): Unnumbered {
    const draft = { channel, attributes, data: payload, id };
    if (due !== undefined) return this.#hub.schedules.slip(namespace, draft, { due, ttlMs });
    const lives = shorter(ttlMs, namespace.policy.ttlMs);
    return lives === undefined
      ? draft
      : { ...draft, attributes: expiresAttribute(this.#clock.now(), lives) + attributes };
  }

  async #publish(run: Run): Promise<readonly Answer[]> {
    const { namespace, sequencer, numbers, drafts, places } = run;
    const by = sequencer && { sequencer, first: numbers[0] as number };
    try {
      const outcome = await this.#hub.publish(namespace, drafts, by);
      const waiting = run.waits ? await this.#schedulesIn(run, outcome.answers) : none;
      return answersOf(run, outcome, waiting);
    } catch (error) {
      if (!(error instanceof DogearError)) this.#logger.error("publish.failed", { error, ...traceOf(drafts) });
      return numbers.map((number) => refusal(number, error));
    } finally {
      if (places > 0) this.#hub.schedules.answered(namespace, places);
    }
  }

  #count({ drafts }: Run, answers: readonly Answer[]): void {
    let messages = 0;
    let bytes = 0;
    for (let i = 0; i < answers.length; i++) {
      const answer = answers[i] as Answer;
      if (answer.is === "error") {
        this.#metrics.publishRefused(answer.code);
        continue;
      }
      const { data, attributes } = drafts[i] as Unnumbered;
      messages++;
      bytes += data.length + attributes.length;
    }
    this.#metrics.published(messages, bytes);
  }

  /** What is said of those that wait, by the offsets of their slips. */
  async #schedulesIn({ namespace, dues }: Run, answers: readonly Appended[]): Promise<ReadonlyMap<Offset, Schedule>> {
    const stored: Stored[] = [];
    for (const [i, answer] of answers.entries()) {
      const due = dues[i];
      if (due !== undefined && "offset" in answer) stored.push({ ...answer, due });
    }
    return this.#hub.schedules.schedulesOf(namespace, stored);
  }
}

const none: ReadonlyMap<Offset, Schedule> = new Map();

function answersOf(
  { numbers, dues }: Run,
  { answers, epoch, durability }: Outcome,
  waiting: ReadonlyMap<Offset, Schedule>,
): readonly Answer[] {
  return answers.map((answer, i): Answer => {
    const number = numbers[i] as number;
    if ("refused" in answer) return refusal(number, dogearError(answer.refused));
    const { offset, duplicate } = answer;
    if (dues[i] === undefined) return { is: "published", number, epoch, offset, duplicate, durability };
    const { id, due } = waiting.get(offset) as Schedule;
    return { is: "scheduled", number, id, due, duplicate, durability };
  });
}

/** When a draft is due that was taken now. */
function dueOf(wait: Wait, now: number): number {
  return "deliverAt" in wait ? wait.deliverAt : later(now, wait.delayMs);
}

function refusal(number: number, error: unknown): Refusal {
  const { code, message } = asDogearError(error);
  return { is: "error", code, message, number };
}

/** Of drafts that failed together, the traces of the first few. */
const tracesMax = 10;

/** In which traces drafts were published, as their headers say it. */
function traceOf(drafts: readonly Unnumbered[]): { readonly traceparent?: readonly string[] } {
  const traces = new Set<string>();
  for (const { attributes } of drafts) {
    if (traces.size >= tracesMax) break;
    if (!attributes.includes('"traceparent"')) continue;
    const { headers } = JSON.parse(`{${attributes.slice(1)}}`) as { headers?: Readonly<Record<string, string>> };
    if (headers?.traceparent !== undefined) traces.add(headers.traceparent);
  }
  return traces.size === 0 ? {} : { traceparent: [...traces] };
}

/** An error for a client. What the hub did not foresee is told as such and nothing more. */
export function asDogearError(error: unknown): DogearError {
  return error instanceof DogearError ? error : dogearError("internal", undefined, { cause: error });
}
