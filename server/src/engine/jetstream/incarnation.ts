/**
 * Whether the stream of a log is still the one that was opened, and holds all that this hub has seen of it. Where it does
 * not, the log begins anew, and what was opened is of no use any more.
 */
import { DogearError, dogearError, type Offset } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { codeOf, codes } from "./failures.ts";
import type { LogStream, StreamFacts } from "./log-stream.ts";

export interface IncarnationParts {
  readonly stream: LogStream;
  readonly opened: StreamFacts;
  readonly namespace: string;
  readonly replicas: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Remembers that the log had come so far, so that whoever opens it knows that it lost its end. */
  readonly storeReached: (newest: Offset) => Promise<void>;
  /** Called once, when the log begins anew. */
  readonly renewed: () => void;
}

/** A leader that lost its servers, and does not know yet, tells of the past; it gives up sooner than this. */
const pastMs = 15_000;

/** How long a stream must be shorter than it was before it counts as one that lost its end. */
export function doubtMs(replicas: number): number {
  return replicas > 1 ? pastMs : 0;
}

export class Incarnation {
  readonly #parts: IncarnationParts;
  #newest: Offset;
  #doubtedSince: number | undefined;
  #gone: DogearError | undefined;

  constructor(parts: IncarnationParts) {
    this.#parts = parts;
    this.#newest = parts.opened.newest;
  }

  /**
   * The newest message that the leader is known to have, because it said so or acknowledged it. What a consumer gives does
   * not count: a replica can be ahead of its leader for a moment, in what it has applied.
   */
  get newest(): Offset {
    return this.#newest;
  }

  /** Throws where the log is not the one that was opened any more. */
  check(): void {
    if (this.#gone !== undefined) throw this.#gone;
  }

  /** The leader has the log up to here. */
  reach(newest: Offset): void {
    if (newest > this.#newest) this.#newest = newest;
  }

  /** How the stream is, once it was looked at; rejects where it is not the one that was opened. */
  readonly facts = async (): Promise<StreamFacts> => {
    this.check();
    // What was seen before the question must be in its answer.
    const seen = this.#newest;
    const facts = await this.#parts.stream.facts().catch(async (error: unknown) => {
      const isThere = !(error instanceof DogearError && codeOf(error.cause) === codes.streamNotFound);
      if (!isThere) await this.#doubt(seen);
      throw error;
    });
    this.check();
    if (facts.id !== this.#parts.opened.id) this.#end("was deleted and made again");
    if (facts.newest < seen) await this.#doubt(seen);
    this.#doubtedSince = undefined;
    this.reach(facts.newest);
    return facts;
  };

  /** Why the log is not the one that was opened any more, as far as a look at the stream shows. */
  readonly ended = async (): Promise<DogearError | undefined> => {
    try {
      await this.facts();
    } catch (error) {
      if (this.#gone === undefined) throw error;
    }
    return this.#gone;
  };

  /** The stream has less than was seen of it, or is not there. */
  async #doubt(seen: Offset): Promise<never> {
    const now = this.#parts.clock.monotonic();
    this.#doubtedSince ??= now;
    if (now - this.#doubtedSince >= doubtMs(this.#parts.replicas)) {
      await this.#parts.storeReached(seen);
      this.#end("lost its end, or was deleted");
    }
    throw dogearError("unavailable", `The stream ${this.#parts.stream.name} has less than it had.`);
  }

  #end(what: string): never {
    const { stream, namespace, logger, renewed } = this.#parts;
    if (this.#gone === undefined) {
      this.#gone = dogearError("unavailable", `The stream ${stream.name} ${what}.`);
      logger.error("log.renewed", { namespace, error: this.#gone });
      renewed();
    }
    throw this.#gone;
  }
}
