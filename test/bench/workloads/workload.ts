/** What a workload is, and what several of them do alike. */
import type { Result } from "../figures.ts";
import { until } from "../measure.ts";
import { Sequence } from "../sequence.ts";
import type { Capability, Publisher, Running, Subscriber, SubscriberOptions, System } from "../system.ts";

export interface Workload {
  readonly name: string;
  /** What is done, in a line. */
  readonly says: string;
  /** What a system must be able to do. */
  readonly needs: readonly Capability[];
  /** The limits of this machine that its figures are held against. */
  readonly limits: readonly string[];
  run(stage: Stage): Promise<Result>;
}

export interface Stage {
  readonly system: System;
  /** What runs now: another after `restart`. */
  readonly running: Running;
  /** Larger sizes, which take longer. */
  readonly full: boolean;
  /** How many there are of what a workload has so many of: fewer in a small run. */
  size(count: number): number;
  /** Stops it, does something in between, and starts it with what it has stored. */
  restart(between: () => void): Promise<void>;
}

/** Why a run does not count. */
export class Void extends Error {}

/** One subscription on a connection of its own, with what it is sent. */
export interface Seat {
  readonly subscriber: Subscriber;
  readonly sequence: Sequence;
}

/** Connections are opened some at a time, as a server's backlog is not endless. */
const openAtOnce = 100;
/**
 * One address has 28,000 ports. Where these are enough none is named, because the kernel finds a free port slowly for a
 * socket that is bound before it connects: opening ten thousand took most of a minute.
 */
const perAddress = 20_000;

export async function seats(
  { running }: Stage,
  count: number,
  options: (i: number) => Omit<SubscriberOptions, "sequence"> & { readonly sequence?: Sequence },
): Promise<Seat[]> {
  const all: Seat[] = new Array(count);
  let next = 0;
  const open = async () => {
    while (next < count) {
      const i = next++;
      const asked = options(i);
      const sequence = asked.sequence ?? new Sequence();
      const from = i < perAddress ? {} : { localAddress: `127.0.0.${1 + Math.floor(i / perAddress)}` };
      all[i] = { sequence, subscriber: await running.client.subscriber({ ...from, ...asked, sequence }) };
    }
  };
  await Promise.all(Array.from({ length: openAtOnce }, open));
  return all;
}

export function received(seats: readonly Seat[]): number {
  let sum = 0;
  for (const { sequence } of seats) sum += sequence.received;
  return sum;
}

/** Throws if anything was lost, repeated, out of order or refused. */
export function verify(seats: readonly Seat[], publishers: readonly Publisher[] = []): void {
  for (const { fault } of publishers) if (fault !== undefined) throw new Void(fault);
  for (const { subscriber, sequence } of seats) {
    const fault = sequence.fault ?? subscriber.fault;
    if (fault !== undefined) throw new Void(fault);
  }
}

/** Nothing more is sent: waits until all that was is confirmed, if the system confirms, and everything due has come. */
export async function settle(
  { system }: Stage,
  publisher: Publisher,
  seats: readonly Seat[],
  due: number,
  limitS = 30,
): Promise<void> {
  const fine = () => {
    verify(seats, [publisher]);
    return true;
  };
  if (system.can.includes("acknowledges")) {
    await until(() => fine() && publisher.acknowledged === publisher.sent, "the last acknowledgements", limitS);
  }
  await until(() => fine() && received(seats) >= due, "the last deliveries", limitS);
  verify(seats, [publisher]);
  if (received(seats) !== due) throw new Void(`${received(seats)} messages came where ${due} were due`);
}

export function close(seats: readonly Seat[], ...publishers: readonly Publisher[]): void {
  for (const { subscriber } of seats) subscriber.close();
  for (const publisher of publishers) publisher.close();
}

/** Publishes so many messages, or as many as it can in this time; returns how many that were. */
export async function fill(
  { running }: Stage,
  channel: string,
  bytes: number,
  count: number,
  limitS: number,
): Promise<number> {
  const inFlight = Math.min(count, 4_096);
  const publisher = await running.client.publisher({
    name: `fill-${channel}`,
    channel: () => channel,
    bytes,
    inFlight: 0,
  });
  const end = performance.now() + limitS * 1_000;
  publisher.onAcknowledged = () => {
    if (performance.now() > end) publisher.stop();
    const more = Math.min(count - publisher.sent, publisher.acknowledged + inFlight - publisher.sent);
    if (more > 0) publisher.sendMore(more);
  };
  publisher.sendMore(inFlight);
  const done = () => publisher.fault !== undefined || publisher.acknowledged === publisher.sent;
  await until(done, "publishing", limitS + 60);
  verify([], [publisher]);
  publisher.close();
  return publisher.sent;
}
