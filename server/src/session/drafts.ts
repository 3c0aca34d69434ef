/**
 * The drafts of one session on their way to the log.
 *
 * Drafts that arrive together are handed on together: a run of consecutive numbers for one namespace costs the hub
 * one call. Their bytes are bounded: above the bound the connection is not read, so that a publisher that is too fast
 * is slowed down and nothing is dropped.
 */
import { DogearError, dogearError, type ErrorCode, type Limits, type Published } from "@dogear/shared";
import type { IncomingPublish } from "../codec/codec.ts";
import type { Hub } from "../hub/hub.ts";
import type { Namespace } from "../hub/namespace.ts";
import type { Sequencer, Unnumbered } from "../hub/sequencer.ts";
import type { Logger } from "../runtime/logger.ts";

interface Refusal {
  readonly is: "error";
  readonly code: ErrorCode;
  readonly message: string;
  readonly number: number;
}

export type Answer = Published | Refusal;

/** Drafts that go to the log together. */
interface Run {
  readonly namespace: Namespace;
  readonly sequencer: Sequencer | undefined;
  readonly numbers: number[];
  readonly drafts: Unnumbered[];
  bytes: number;
}

/** About what a draft takes besides its text, so that many small ones count too. */
const draftBytes = 256;

export class Drafts {
  readonly #hub: Hub;
  readonly #bytesMax: number;
  readonly #logger: Logger;
  readonly #answer: (answers: readonly Answer[]) => void;
  #run: Run | undefined;
  #bytes = 0;
  #idle: (() => void)[] = [];

  constructor(
    { hub, limits, logger }: { readonly hub: Hub; readonly limits: Limits; readonly logger: Logger },
    answer: (answers: readonly Answer[]) => void,
  ) {
    this.#hub = hub;
    this.#bytesMax = limits.draftBytesMax;
    this.#logger = logger;
    this.#answer = answer;
  }

  /** As much is on its way as may be. */
  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Takes a draft, in order; it goes to the log with the next `hand`. `id` is scoped to whoever may repeat it. */
  add(
    { number, channel, attributes, payload }: IncomingPublish,
    id: string | undefined,
    sequencer: Sequencer | undefined,
  ): void {
    const namespace = this.#hub.namespace(channel);
    let run = this.#run;
    const joins = run?.namespace === namespace && run.sequencer === sequencer;
    if (run === undefined || !joins || (sequencer !== undefined && run.numbers.at(-1) !== number - 1)) {
      this.hand();
      run = { namespace, sequencer, numbers: [], drafts: [], bytes: 0 };
      this.#run = run;
    }
    run.numbers.push(number);
    run.drafts.push({ channel, attributes, data: payload, id });
    run.bytes += payload.length + attributes.length + draftBytes;
  }

  /** Hands on what was taken. */
  hand(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#bytes += run.bytes;
    void this.#publish(run).then((answers) => {
      this.#bytes -= run.bytes;
      this.#answer(answers);
      if (this.#bytes === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** Resolves when every draft was answered. */
  async idle(): Promise<void> {
    if (this.#bytes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #publish({ namespace, sequencer, numbers, drafts }: Run): Promise<readonly Answer[]> {
    const by = sequencer && { sequencer, first: numbers[0] as number };
    try {
      const { answers, epoch, durability } = await this.#hub.publish(namespace, drafts, by);
      return answers.map((answer, i): Answer => {
        const number = numbers[i] as number;
        if ("refused" in answer) return refusal(number, dogearError(answer.refused));
        return { is: "published", number, epoch, offset: answer.offset, duplicate: answer.duplicate, durability };
      });
    } catch (error) {
      if (!(error instanceof DogearError)) this.#logger.error("publish.failed", { error });
      return numbers.map((number) => refusal(number, error));
    }
  }
}

function refusal(number: number, error: unknown): Refusal {
  const { code, message } = asDogearError(error);
  return { is: "error", code, message, number };
}

/** An error for a client. What the hub did not foresee is told as such and nothing more. */
export function asDogearError(error: unknown): DogearError {
  return error instanceof DogearError ? error : dogearError("internal", undefined, { cause: error });
}
