/** A hub that dies at a call to its disk, again and again, with clients who outlive it. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Offset } from "@dogear/shared";
import type { HistoryEvent } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { Clients } from "../disk/clients.ts";
import { readTrace, shimmed, type TracedCall } from "../disk/shim.ts";
import { hubOf, launchHub } from "../support/hub-process.ts";
import { freePorts } from "../support/ports.ts";
import type { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { until } from "../support/waiting.ts";
import type { Point } from "./points.ts";

/** Small segments, so that some begin and some are removed. */
const config = { namespaces: { default: { retention: { bytes: 1_000_000 } } } };

/** One life of the hub, and what its disk notes of it. */
interface Life {
  readonly hub: ChildProcess;
  readonly calls: () => TracedCall[];
}

export class Doomed {
  /** Points at which it has died. */
  readonly reached: Point[] = [];
  /** Points that it has missed; whoever takes one out tries it again. */
  readonly missed: Point[] = [];
  readonly #misses = new Map<Point, number>();
  readonly #library: string;
  readonly #folder = temporaryFolder();
  readonly #data = join(this.#folder, "data");
  readonly #port: number;
  readonly #clients: Clients;
  #lives = 0;
  /** The last death at a point: the calls before it, and where in the history what happened since then begins. */
  #last: { readonly point: Point; readonly calls: readonly TracedCall[]; readonly from: number } | undefined;
  /** Calls that it took to open the data, the last time. */
  #openingCalls = 1;

  static async prepare(library: string): Promise<Doomed> {
    const [port] = (await freePorts(1)) as [number];
    return new Doomed(library, port);
  }

  private constructor(library: string, port: number) {
    this.#library = library;
    this.#port = port;
    this.#clients = new Clients(`ws://127.0.0.1:${port}`);
    mkdirSync(this.#data);
  }

  /** A life that ends at a point. Whether the point was reached is known when its successor has served somebody. */
  async dieAt(point: Point): Promise<void> {
    const armed = join(this.#folder, `armed-${this.#lives}`);
    const oldestSegment = this.#oldestSegment;
    const { hub, calls } = this.#live(point.fault({ oldestSegment, misses: this.#misses.get(point) ?? 0 }), armed);
    await hubOf(hub);
    this.#openingCalls = calls().length;
    await this.#served();
    const before = { calls: calls().length, events: this.#clients.history.length };
    writeFileSync(armed, "");
    if (oldestSegment !== this.#oldestSegment) return this.#miss(hub, point);
    const dead = new AbortController();
    void point.provoke(this.#clients, dead.signal);
    await this.#killed(hub, point.name);
    dead.abort();
    this.#last = { point, calls: calls().slice(before.calls), from: before.events };
    await this.#clients.replace();
  }

  /** A life that ends while the data are opened, at any call of that. */
  async dieOpening(random: () => number): Promise<void> {
    const n = 1 + Math.floor(random() * this.#openingCalls);
    const when = random() < 0.5 ? "before" : "after";
    const { hub } = this.#live(`kill-${when}:any:${n}`);
    const isOpen = await hub.untilLine(/listening/).then(
      () => true,
      () => false,
    );
    if (!isOpen) return this.#killed(hub, `${when} call ${n} of ${this.#openingCalls}`);
    // This time there was less to do: once more, at another call.
    await hub.kill();
    await this.dieOpening(random);
  }

  /** A life that ends as any may; what was not known of the last is known now. */
  async live(): Promise<void> {
    const { hub } = this.#live();
    await hubOf(hub);
    await this.#served();
    await hub.kill();
    await this.#clients.replace();
  }

  /** The last life: everybody gets everything. */
  async settle(): Promise<readonly Violation[]> {
    const { hub } = this.#live();
    await hubOf(hub);
    await this.#clients.finish();
    const violations = this.#clients.violations();
    await this.#clients.close();
    await hub.kill("SIGTERM");
    return violations;
  }

  #live(fault?: string, from?: string): Life {
    const trace = join(this.#folder, `trace-${++this.#lives}`);
    const options = { folder: this.#data, trace, text: true, ...(fault && { fault }), ...(from && { from }) };
    const env = shimmed(this.#library, options);
    return { hub: launchHub({ data: this.#data, port: this.#port, config, env }), calls: () => readTrace(trace) };
  }

  /** It has removed before its time what it was to be killed at. */
  async #miss(hub: ChildProcess, point: Point): Promise<void> {
    await hub.kill();
    await this.#clients.replace();
    this.#missed(point);
  }

  #missed(point: Point): void {
    this.missed.push(point);
    this.#misses.set(point, (this.#misses.get(point) ?? 0) + 1);
  }

  async #killed(hub: ChildProcess, where: string): Promise<void> {
    const { signal, code } = await hub.exited;
    if (signal !== "SIGKILL") throw new Error(`It was to be killed ${where} and ended with ${code}: ${hub.stderr}`);
  }

  /** Resolves when this life has answered, delivered and leased, and everybody is done with everything. */
  async #served(): Promise<void> {
    const { history } = this.#clients;
    const from = history.length;
    await this.#clients.publish(1, 40, "orders.us");
    const ok = (op: string) =>
      history
        .slice(from)
        .filter((event) => event.op === op && event.kind === "ok")
        .map(offsetOf);
    const [offset] = ok("publish").slice(-1);
    await until(async () => ok("deliver").includes(offset), "a message that is delivered");
    await this.#clients.settled();
    this.#conclude();
  }

  #conclude(): void {
    const { point, calls, from } = this.#last ?? {};
    this.#last = undefined;
    if (point === undefined || calls === undefined) return;
    const isReached = point.reached({ calls, events: this.#clients.history.slice(from) });
    if (isReached) this.reached.push(point);
    else this.#missed(point);
  }

  get #oldestSegment(): string {
    const folder = join(this.#data, "logs/default");
    const segments = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+$/.test(name)) : [];
    return segments.sort()[0] ?? "0000000000000001";
  }
}

function offsetOf(event: HistoryEvent): Offset | undefined {
  return "offset" in event ? event.offset : undefined;
}
