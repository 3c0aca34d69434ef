/** What a subscription and a worker have in common for their user: a pattern, a beginning, an end, and who hears of it. */
import { isPattern, type Pattern } from "@dogear/shared";
import { Deferred, unlessAborted } from "./deferred.ts";
import { emitter, TypedEventTarget } from "./events.ts";
import { failure } from "./failure.ts";

export interface EngagementEvents {
  ended: { readonly error?: unknown };
}

const emit = emitter<EngagementEvents>();

/** It becomes ready with an `R`, once, and ends, once. Its events are those of `M`. */
export class Engagement<M extends EngagementEvents, R> extends TypedEventTarget<M> {
  readonly pattern: Pattern;
  readonly #report: (error: unknown) => void;
  readonly #ready = new Deferred<R>();
  readonly #ended = new Deferred<void>();
  /** Whether anyone learns of the error it ends with. */
  #watched = false;

  /** @param report Is told of an error that nobody waits for. */
  constructor(pattern: string, report: (error: unknown) => void) {
    super();
    if (!isPattern(pattern)) throw failure("invalid-pattern", pattern);
    this.pattern = pattern;
    this.#report = report;
  }

  get ended(): Promise<void> {
    this.#watched = true;
    return this.#ended.promise;
  }

  ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<R> {
    return unlessAborted(this.#ready.promise, signal);
  }

  /** The hub has confirmed it, for the first time or again. */
  confirm(ready: R): void {
    this.#ready.resolve(ready);
  }

  /** It is over: with an error, or because its user wished so. */
  over(error: unknown): void {
    this.#ready.reject(error ?? failure("closed"));
    if (!error) this.#ended.resolve();
    else this.#ended.reject(error);
    if (error && !this.#watched) this.#report(error);
    emit(this as unknown as TypedEventTarget<EngagementEvents>, "ended", { error });
  }
}
