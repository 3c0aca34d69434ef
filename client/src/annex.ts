/**
 * What only some clients do: sharing work, asking, and replacing a token before it expires. Loaded with its first use, so that the others need not carry it.
 *
 * In the browser's bundle it is a file of its own that repeats the few helpers it needs. Errors must not be repeated, or
 * `instanceof DogearError` would fail for some of them: this side makes them only with the function it is given.
 */
import type { Action, DogearError, Welcome } from "@dogear/shared";
import { Asking } from "./asking.ts";
import type { Connection, Said } from "./connection/driver.ts";
import type { errorFrom } from "./failure.ts";
import { TokenRefresh } from "./token-refresh.ts";
import { Members } from "./work/members.ts";
import type { OpenWorker } from "./work/open-worker.ts";
import type { WorkHandler, WorkOptions } from "./worker.ts";

export class Annex {
  readonly #errorFrom: typeof errorFrom;
  readonly #members: Members;
  readonly #asking: Asking;
  readonly #tokenRefresh: TokenRefresh;

  /** @param report Is told of an error that nobody waits for. */
  constructor(connection: Connection, makeError: typeof errorFrom, report: (error: unknown) => void) {
    this.#errorFrom = makeError;
    this.#members = new Members(connection, makeError, report);
    this.#asking = new Asking(connection);
    this.#tokenRefresh = new TokenRefresh(connection, report);
  }

  work(worker: OpenWorker, options: WorkOptions, handler: WorkHandler | undefined): void {
    this.#members.add(worker, options, handler);
  }

  ask(action: Action, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#asking.ask(action, signal);
  }

  /** This session's token expires. */
  welcomed(welcome: Welcome): void {
    this.#tokenRefresh.begin(welcome);
  }

  /** A session has begun. */
  resume(): void {
    this.#members.resume();
    this.#asking.resume();
  }

  /** The session, if there was one, is over. */
  lost(): void {
    this.#members.lost();
    this.#tokenRefresh.stop();
  }

  receive(envelope: ForAnnex): void {
    if (envelope.is === "refreshed") this.#tokenRefresh.refreshed(envelope);
    else if (envelope.is === "answer") this.#asking.answered(envelope);
    else if (envelope.is !== "error" || envelope.request === undefined) this.#members.receive(envelope);
    else this.#asking.refused(envelope.request, this.#errorFrom(envelope));
  }

  /** All workers leave. Resolves when they have; no later than the signal allows, or 30 seconds where there is none. */
  leave(signal: AbortSignal | undefined): Promise<void> {
    return this.#members.leave(signal);
  }

  /** The client is closed. */
  end(error: DogearError): void {
    this.#members.end(error);
    this.#asking.end(error);
    this.#tokenRefresh.end();
  }
}

/** What a hub says of members, requests and tokens. */
type ForAnnex =
  | Extract<Said, { readonly member?: number | undefined } | { readonly request: number }>
  | Extract<Said, { readonly is: "refreshed" }>;
