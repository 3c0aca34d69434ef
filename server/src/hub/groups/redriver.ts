/** Gives a group its dead letters once more: those there were when it was asked for, each once (P-63). */
import type { Channel, Offset, Pattern } from "@dogear/shared";
import type { Log } from "../../engine/engine.ts";
import type { Messages } from "../../engine/messages.ts";
import type { Redrive } from "./record.ts";

const page = { messages: 256, bytes: 256 * 1_024, scan: 1_024 * 1_024 } as const;

export class Redriver {
  readonly #log: Log;
  readonly #channel: Pattern;
  /** Dead letters up to here were given. */
  #through: Offset;
  #redrive: Redrive | undefined;

  constructor(log: Log, channel: Channel, { redriven, redrive }: { redriven: Offset; redrive: Redrive | undefined }) {
    this.#log = log;
    this.#channel = channel as string as Pattern;
    this.#through = redriven;
    this.#redrive = redrive;
  }

  get through(): Offset {
    return this.#through;
  }

  /** The last redrive, where so many of what was read were not leased yet: after a crash those are read again. */
  asOf(unleased: number): Redrive | undefined {
    const redrive = this.#redrive;
    if (redrive === undefined || unleased === 0) return redrive;
    const state = redrive.state === "done" ? "running" : redrive.state;
    return { ...redrive, state, moved: redrive.moved - unleased };
  }

  /** How many dead letters were not given. */
  waiting(): Promise<number> {
    return this.#log.count(this.#channel, this.#through);
  }

  /** Begins; or goes on with what died since, where one runs, or so many of what was read were not leased yet. */
  async start(unleased: number): Promise<void> {
    const [{ newest: target }, waiting] = await Promise.all([this.#log.bounds(), this.waiting()]);
    const before = this.isRunning || unleased > 0 ? this.#redrive : undefined;
    const moved = before?.moved ?? 0;
    this.#redrive = { state: waiting > 0 ? "running" : "done", target, total: moved + waiting, moved };
  }

  /** Ends it, where so many of what was read were not leased yet, the first of them at an offset: they wait again. */
  cancel(unleased: number, first: Offset | undefined): void {
    if (this.#redrive === undefined || (!this.isRunning && unleased === 0)) return;
    this.#redrive = { ...this.#redrive, state: "cancelled", moved: this.#redrive.moved - unleased };
    if (first !== undefined) this.#through = (first - 1) as Offset;
  }

  get isRunning(): boolean {
    return this.#redrive?.state === "running";
  }

  /** Reads the next dead letters, if a redrive is running. */
  async read(take: (messages: Messages) => void): Promise<void> {
    const redrive = this.#redrive;
    if (redrive?.state !== "running") return;
    const { messages, through } = await this.#log.read(this.#channel, this.#through, page);
    // It was cancelled, or begun anew.
    if (this.#redrive !== redrive) return;
    const within = messages.slice(0, messages.indexAfter(redrive.target));
    this.#through = Math.min(through, redrive.target) as Offset;
    const state = this.#through < redrive.target ? "running" : "done";
    this.#redrive = { ...redrive, state, moved: redrive.moved + within.length };
    take(within);
  }
}
