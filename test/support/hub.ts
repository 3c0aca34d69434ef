/** A hub in this process, and clients of it over real sockets; all of them end with the test. */

import {
  type ConnectOptions,
  connect,
  type Dogear,
  DogearError,
  type DogearEvents,
  type Subscription,
  type SubscriptionEvents,
} from "@dogear/client";
import { type Logger, parseConfig, startServer } from "@dogear/server";
import { expect } from "vitest";
import { temporaryFolder, whenDone } from "./temp.ts";
import { Collected } from "./waiting.ts";

export interface HubOptions {
  readonly data?: string;
  readonly port?: number;
  /** As its configuration file would say it. */
  readonly config?: object;
}

export interface TestHub {
  readonly url: string;
  readonly port: number;
  readonly data: string;
  /** The names of the events it logged, and their facts. */
  readonly logged: Collected<readonly [event: string, facts: Readonly<Record<string, unknown>>]>;
  /** Stops it as a service manager does. */
  close(): Promise<void>;
}

export async function startHub({ data = temporaryFolder(), port = 0, config = {} }: HubOptions = {}): Promise<TestHub> {
  const logged: TestHub["logged"] = new Collected();
  const note: Logger["info"] = (event, facts = {}) => logged.add([event, facts]);
  const logger = { info: note, warn: note, error: note };
  const server = await startServer({ data, port, config: parseConfig(config), logger });
  whenDone(() => server.close());
  return { url: server.url, port: server.port, data, logged, close: () => server.close() };
}

export interface ClientOptions extends ConnectOptions {
  /** The test looks at `error` events itself; otherwise one fails the test. */
  readonly expectErrors?: boolean;
}

/** A client that comes back quickly. */
export function clientOf(url: string, { expectErrors = false, ...options }: ClientOptions = {}): Dogear {
  const dogear = connect(url, { backoff: { baseMs: 20, capMs: 100 }, ...options });
  const errors: unknown[] = [];
  dogear.addEventListener("error", ({ detail: { error } }) => {
    // Such as a hub says before it hangs up on everyone.
    const passing = error instanceof DogearError && error.retry === "reconnect";
    if (!expectErrors && !passing) errors.push(error);
  });
  whenDone(async () => {
    await dogear.close();
    expect(errors).toEqual([]);
  });
  return dogear;
}

type EventsOf<T> = T extends Dogear ? DogearEvents : SubscriptionEvents;

/** Resolves with the next event of a type, or the next that passes. */
export async function happening<T extends Dogear | Subscription, K extends keyof EventsOf<T> & string>(
  target: T,
  type: K,
  passes: (detail: EventsOf<T>[K]) => boolean = () => true,
): Promise<EventsOf<T>[K]> {
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const details = new Collected<EventsOf<T>[K]>();
  const listener = (event: Event): void => details.add((event as CustomEvent<EventsOf<T>[K]>).detail);
  addEventListener.call(target, type, listener);
  try {
    return await details.find(passes);
  } finally {
    removeEventListener.call(target, type, listener);
  }
}

/** What a promise was refused with: the code of the error, or the error itself where it has none. */
export async function refusal(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return (error as { readonly code?: unknown }).code ?? error;
  }
  throw new Error("It was not refused.");
}
