/**
 * What is asked of the hub, until it has answered. A request whose connection breaks is sent again on the next one: all
 * of them can be repeated, and change nothing the second time.
 */
import type { Action, Answer, DogearError } from "@dogear/shared";
import type { Connection } from "./connection/driver.ts";
import { Deferred, unlessAborted } from "./deferred.ts";

interface Asked {
  readonly action: Action;
  readonly answer: Deferred<unknown>;
}

export class Asking {
  readonly #connection: Connection;
  /** By number. */
  readonly #open = new Map<number, Asked>();
  #lastNumber = 0;
  #closed: DogearError | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async ask(action: Action, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.#closed) throw this.#closed;
    const request = ++this.#lastNumber;
    const answer = new Deferred<unknown>();
    this.#open.set(request, { action, answer });
    this.#connection.say({ is: "ask", request, action });
    return unlessAborted(answer.promise, signal).finally(() => this.#open.delete(request));
  }

  /** A session has begun: what has no answer is asked again. */
  resume(): void {
    for (const [request, { action }] of this.#open) this.#connection.say({ is: "ask", request, action });
  }

  answered({ request, result }: Answer): void {
    this.#open.get(request)?.answer.resolve(result);
  }

  refused(request: number, error: DogearError): void {
    this.#open.get(request)?.answer.reject(error);
  }

  end(error: DogearError): void {
    this.#closed = error;
    for (const { answer } of this.#open.values()) answer.reject(error);
  }
}
