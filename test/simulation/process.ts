/** The clients of a simulation: roles, each played by one process after the other, or by two at once. */
import type { DogearError } from "@dogear/client";
import { Annex } from "../../client/src/annex.ts";
import { type ConnectOptions, Dogear } from "../../client/src/client.ts";
import type { PageListener } from "../../client/src/connection/page.ts";
import type { Runtime } from "../../client/src/runtime.ts";
import { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** What runs in one process. */
export type Play = (process: Process) => void;

/** One life of a role. */
export class Process {
  readonly machine: Machine;
  readonly world: World;
  readonly dogear: Dogear;
  /** What it has asked for and was not told yet. */
  unanswered = 0;
  /**
   * Whether another one plays its role as well; or has, and was killed: its last words may still be under way, and nobody can
   * tell them from those of one that lives.
   */
  hasRival = false;
  readonly #pages = new Set<PageListener>();

  constructor(name: string, world: World, options: ConnectOptions) {
    this.world = world;
    this.machine = new Machine(name, world.timeline);
    this.dogear = new Dogear("ws://hub", options, this.#runtime(), () => Promise.resolve({ Annex }));
    this.dogear.addEventListener("error", ({ detail: { error } }) => {
      const { code, retry } = error as DogearError;
      if (retry !== "reconnect" && code !== "token-failed") world.complain(`${name} met ${String(error)}`);
    });
  }

  /** Its page is shown again, or its machine wakes. */
  wake(): void {
    this.machine.thaw();
    this.machine.after(0, () => {
      for (const page of this.#pages) page.woke();
    });
  }

  /** Its page is hidden, its machine sleeps, or somebody stopped it: nothing runs until it wakes. */
  freeze(): void {
    for (const page of this.#pages) page.leaving();
    this.machine.freeze();
  }

  #runtime(): Runtime {
    const { machine, world } = this;
    return {
      now: () => machine.now(),
      setTimer: (ms, run) => machine.after(ms, run),
      random: () => world.timeline.random(),
      newId: () => world.timeline.id("producer"),
      connect: (_, __, listener) => world.network.connect(machine, world.site.find, listener),
      watchPage: (page) => {
        this.#pages.add(page);
        return { hidden: false, stop: () => void this.#pages.delete(page) };
      },
    };
  }
}

export class Role {
  readonly name: string;
  readonly #world: World;
  readonly #options: ConnectOptions;
  readonly #play: Play;
  #lives = 0;
  readonly #processes: Process[] = [];

  constructor(name: string, world: World, options: ConnectOptions, play: Play) {
    this.name = name;
    this.#world = world;
    this.#options = options;
    this.#play = play;
  }

  get processes(): readonly Process[] {
    return this.#processes.filter(({ machine }) => machine.alive);
  }

  /** Begins another life, whether or not one is still there. */
  start(): void {
    const token = this.#world.tokens?.fetch;
    const options = { backoff: { baseMs: 50, capMs: 1_000 }, ...this.#options, ...(token && { token }) };
    const process = new Process(`${this.name}#${++this.#lives}`, this.#world, options);
    process.hasRival = this.#processes.length > 0;
    for (const other of this.processes) other.hasRival = true;
    this.#processes.push(process);
    this.#play(process);
  }

  crash(): void {
    for (const { machine } of this.processes) machine.die();
  }
}

/** By which an error is known. */
export function codeOf(error: unknown): string {
  return String((error as { readonly code?: string }).code ?? error);
}
