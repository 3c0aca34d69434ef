/**
 * The readings of all machines, through two subscriptions to one pattern:
 *
 *     ─── five minutes ago ─────────── the place the hub kept ──────────────────── now ──►
 *           `recall` reads again          `follow` has a durable cursor: first comes
 *           what had been seen            what was missed, and then what is new
 *
 * So the charts are whole after a reload although no reading is stored here, and what the cursor delivers before it is
 * live is exactly what was missed.
 */
import type { Dogear, Epoch, Gap, Message, Offset, Position, Subscription } from "@dogear/client";
import { type Absence, covers } from "./absence.ts";
import type { Memory } from "./memory.ts";
import { Series } from "./series.ts";

/** What a sensor publishes. */
interface Reading {
  readonly value: number;
  readonly unit: string;
  /** When it was read, in milliseconds since 1970. */
  readonly time: number;
}

/** The end of an absence. */
export interface Return {
  readonly awayMs: number;
  /** How many points were missed, all of which have been delivered by now. */
  readonly missed: number;
  /** What the hub could not deliver any more. */
  readonly gap?: Gap | undefined;
}

export interface ReadingsListener {
  /** There is something new to draw. */
  changed(): void;
  returned(back: Return): void;
  /** Another tab took over, or the hub refused. */
  ended(error: unknown): void;
}

const pattern = "sensors.>";

/** How much of the past is shown. */
export const shownMs: number = 5 * 60 * 1_000;

export class Readings {
  /** By channel. */
  readonly series: Map<string, Series> = new Map();
  /** How many messages have come since the page was loaded. */
  received = 0;
  readonly #dogear: Dogear;
  readonly #memory: Memory;
  readonly #listener: ReadingsListener;
  #following: Subscription<Reading> | undefined;
  #recalling: Subscription<Reading> | undefined;
  #epoch: Epoch | undefined;
  /** Those that are over, as far as they are shown. */
  #past: readonly Absence[] = [];
  #absence: Absence | undefined;
  #missed = 0;
  #gap: Gap | undefined;

  constructor(dogear: Dogear, memory: Memory, listener: ReadingsListener) {
    this.#dogear = dogear;
    this.#memory = memory;
    this.#listener = listener;
    dogear.addEventListener("state", ({ detail: { name } }) => {
      if (name === "open") this.#reached();
      else this.#lost();
    });
    dogear.addEventListener("resumed", ({ detail }) => this.#returned(detail.awayMs));
  }

  /** Everything up to here has been seen. Undefined until the hub has said where that is. */
  get position(): Position | undefined {
    return this.#following?.position;
  }

  /** How they come at the moment. */
  get pace(): Subscription["state"] {
    return this.#following?.state ?? "subscribing";
  }

  /** The absence that is not over yet, and how many points of it have arrived. */
  get absence(): (Absence & { readonly missed: number }) | undefined {
    return this.#absence && { ...this.#absence, missed: this.#missed };
  }

  /** All that are shown, with the one that is not over. */
  get absences(): readonly Absence[] {
    return this.#absence ? [...this.#past, this.#absence] : this.#past;
  }

  /** Whether a point was delivered after an absence. */
  isLate(offset: Offset): boolean {
    const epoch = this.#epoch;
    return epoch !== undefined && this.absences.some((absence) => covers(absence, { epoch, offset }));
  }

  /** Begins, or begins anew: takes the place over from any other tab, and goes on where the hub says it is. */
  follow(): void {
    const { seen, absences } = this.#memory;
    this.#past = absences;
    void this.#recalling?.unsubscribe();
    this.series.clear();
    if (seen) this.#leave(seen.at, seen.position);
    if (this.#dogear.state.name === "open") this.#reached();
    const from = { time: Date.now() - shownMs };
    const options = { cursor: true, from, onGap: "continue" } as const;
    const following = this.#dogear.subscribe<Reading>(pattern, options, (message) => {
      const { epoch, offset } = message;
      if (this.#absence && covers(this.#absence, message)) this.#missed++;
      this.#take(message);
      this.#see({ epoch, offset });
    });
    this.#following = following;
    following.addEventListener("gap", ({ detail }) => {
      this.#gap ??= detail;
    });
    // From then on it is `resumed` that tells of absences.
    following.addEventListener("live", () => this.#returned(), { once: true });
    // Whoever comes next, another tab perhaps, must not have to wait until this page has been here for a second.
    following.addEventListener("live", () => {
      this.tick();
      this.#listener.changed();
    });
    following.ready().then(
      (position) => this.#recall(from, position),
      // Then `ended` says the same.
      () => {},
    );
    following.ended.catch((error: unknown) => {
      this.#absence = undefined;
      this.#listener.ended(error);
    });
  }

  /** Notes down that the page is here now, and forgets what is not shown any more. To be called every now and then. */
  tick(): void {
    const earliest = Date.now() - shownMs;
    for (const series of this.series.values()) series.trim(earliest);
    if (this.position) this.#see(this.position);
  }

  #see(position: Position): void {
    if (this.pace === "live" && !this.#absence) this.#memory.sees(position);
  }

  /** Reads what was seen before, once: up to where the cursor goes on. */
  #recall(from: { readonly time: number }, { offset }: Position): void {
    const recalling = this.#dogear.subscribe<Reading>(pattern, { from, onGap: "continue" }, (message) => {
      if (message.offset <= offset) this.#take(message);
      else void recalling.unsubscribe();
    });
    recalling.addEventListener("live", () => void recalling.unsubscribe());
    this.#recalling = recalling;
  }

  #take({ epoch, offset, channel, data }: Message<Reading>): void {
    this.received++;
    // Anyone may publish here, and not everything is a reading.
    if (typeof data?.value !== "number" || typeof data.time !== "number") return;
    if (data.time < Date.now() - shownMs) return;
    // Offsets of two epochs cannot be put in one order.
    if (epoch !== this.#epoch) this.series.clear();
    this.#epoch = epoch;
    const series = this.series.get(channel) ?? new Series(data.unit);
    this.series.set(channel, series);
    series.add({ offset, time: data.time, value: data.value });
    this.#listener.changed();
  }

  #lost(): void {
    if (this.pace === "ended") return;
    if (this.#absence) this.#absence = { ...this.#absence, until: undefined };
    else if (this.position) this.#leave(Date.now(), this.position);
  }

  #leave(since: number, after: Position): void {
    this.#absence = { since, after };
    this.#missed = 0;
    this.#gap = undefined;
  }

  #reached(): void {
    if (this.#absence) this.#absence = { ...this.#absence, until: Date.now() };
  }

  #returned(awayMs?: number): void {
    const absence = this.#absence;
    if (!absence) return;
    const { since, until = Date.now() } = absence;
    const earliest = Date.now() - shownMs;
    const shown = this.#past.filter((past) => (past.until ?? 0) > earliest);
    this.#past = [...shown, { ...absence, until, through: this.position }];
    this.#memory.keep(this.#past);
    this.#absence = undefined;
    this.#listener.returned({ awayMs: awayMs ?? until - since, missed: this.#missed, gap: this.#gap });
  }
}
