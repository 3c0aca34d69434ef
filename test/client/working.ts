/** A worker whose hub and whose handler are in the test's hands. */
import { Deferred } from "../../client/src/deferred.ts";
import type { LeasedMessage, Worker, WorkHandler, WorkOptions } from "../../client/src/index.ts";
import { settle, World } from "./support.ts";

/** Calls of a handler, each of which ends when the test says so. */
export class Bench {
  readonly #calls = new Map<number, { message: LeasedMessage; done: Deferred<void> }>();

  readonly handler: WorkHandler = (message) => {
    const done = new Deferred<void>();
    this.#calls.set(message.offset, { message, done });
    return done.promise;
  };

  /** The offsets that are being worked on. */
  get busy(): number[] {
    return [...this.#calls.keys()];
  }

  message(offset: number): LeasedMessage {
    return this.#call(offset).message;
  }

  async finish(...offsets: readonly number[]): Promise<void> {
    for (const offset of offsets) this.#end(offset).resolve();
    await settle();
  }

  async fail(offset: number, error: unknown): Promise<void> {
    this.#end(offset).reject(error);
    await settle();
  }

  #end(offset: number): Deferred<void> {
    const { done } = this.#call(offset);
    this.#calls.delete(offset);
    return done;
  }

  #call(offset: number): { message: LeasedMessage; done: Deferred<void> } {
    const call = this.#calls.get(offset);
    if (!call) throw new Error(`Nobody works on ${offset}.`);
    return call;
  }
}

export interface Working {
  readonly world: World;
  readonly worker: Worker;
  readonly bench: Bench;
  /** The messages of the leases that were lost, in order. */
  readonly lost: number[];
}

/** A worker that the hub has taken in as member 1; with a bench for its handler, or for a loop. */
export async function working(options: Partial<WorkOptions> & { readonly loop?: boolean } = {}): Promise<Working> {
  const { loop, ...rest } = options;
  const world = new World();
  const bench = new Bench();
  const worker = world.dogear.work("orders.>", { group: "billing", ...rest }, loop ? undefined : bench.handler);
  const lost: number[] = [];
  worker.addEventListener("lost", ({ detail }) => lost.push(detail.message.offset));
  await world.connect();
  await world.socket.working(1);
  await world.socket.heard();
  return { world, worker, bench, lost };
}

/** What is settled how, in short: `ack 1001,1002`. */
export async function settlements(world: World): Promise<string[]> {
  return (await world.socket.heardOf("settle")).map(({ outcome, fences }) => `${outcome} ${fences}`);
}
