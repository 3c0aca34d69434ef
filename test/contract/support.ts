/** What the parts of the engine contract, and other tests of engines, have in common. */
import type { Channel, Offset, Pattern } from "@dogear/shared";
import { expect } from "vitest";
import type { Budget, Draft, Engine, Log, NamespacePolicy, Origin, Page } from "../../server/src/engine/engine.ts";
import type { Messages } from "../../server/src/engine/messages.ts";
import type { Clock } from "../../server/src/runtime/clock.ts";
import { movableClock } from "../support/clock.ts";

/** The real clock, which can be moved on. Its timers stay real. */
export function contractClock(): Clock & { advance(ms: number): void } {
  const clock = movableClock();
  return { ...clock, monotonic: clock.now };
}

export interface EngineUnderTest {
  readonly engine: Engine;
  /** Closes the engine and opens its data again. */
  reopen(): Promise<EngineUnderTest>;
  /** The engine of another hub on the same data, where there can be one. The test closes it. */
  another?(): Promise<Engine>;
  /** Moves the engine's clock. Its timers stay real. */
  advance(ms: number): void;
}

/** The engine of the running test. */
export interface Fixture {
  /** Opens a log on an engine with fresh data. */
  opened(over?: Partial<NamespacePolicy>): Promise<Log>;
  /** Opens the log after the engine was closed and opened again. */
  reopened(over?: Partial<NamespacePolicy>): Promise<Log>;
  current(): EngineUnderTest;
}

const day = 24 * 60 * 60 * 1_000;

export const policy: NamespacePolicy = {
  namespace: "default",
  durability: "disk",
  retention: { ageMs: undefined, bytes: undefined },
  deduplicationWindowMs: 5 * 60 * 1_000,
  deduplicationIdsMax: 1_000,
  producerMemoryMs: 7 * day,
};

export const plenty: Budget = { messages: 10_000, bytes: 100_000_000, scan: 1_000_000_000 };
export const all = ">" as Pattern;

export function draftWithId(channel: string, data: unknown, id: string): Draft {
  return { ...draft(channel, data), id };
}

export function draft(channel: string, data: unknown, origin: Origin = { by: "nobody" }, attributes = ""): Draft {
  return { channel: channel as Channel, attributes, data: Buffer.from(JSON.stringify(data)), origin };
}

interface Parsed {
  readonly offset: Offset;
  readonly channel: Channel;
  readonly time: number;
  readonly data: unknown;
}

export function parsed(messages: Messages): Parsed[] {
  const list = JSON.parse(`[${messages.bytes.toString()}]`) as Parsed[];
  expect(list.map(({ offset }) => offset)).toEqual(messages.offsets);
  expect(list.map(({ channel }) => channel)).toEqual(messages.channels);
  return list;
}

export const dataOf = (page: Pick<Page, "messages">): unknown[] => parsed(page.messages).map(({ data }) => data);
