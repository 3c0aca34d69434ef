/**
 * What this browser remembers from one visit to the next. The place in the log is not among it: the hub keeps that,
 * under the subscriber's name. This is for telling how long one was away, and for drawing it.
 */
import type { Position } from "@dogear/client";
import type { Absence } from "./absence.ts";

interface Remembered {
  /** Under this name the hub knows this browser. */
  readonly subscriber: string;
  /** When the page was last connected, and how much it had seen then. */
  readonly seen?: { readonly at: number; readonly position: Position };
  readonly absences: readonly Absence[];
}

const key = "dogear-demo";

/** Read anew each time, because other tabs write here, too. */
export class Memory {
  get subscriber(): string {
    return this.#read().subscriber;
  }

  get seen(): Remembered["seen"] {
    return this.#read().seen;
  }

  get absences(): readonly Absence[] {
    return this.#read().absences;
  }

  /** The page is here now, and has seen everything up to this position. */
  sees(position: Position): void {
    this.#write({ ...this.#read(), seen: { at: Date.now(), position } });
  }

  keep(absences: readonly Absence[]): void {
    this.#write({ ...this.#read(), absences });
  }

  #read(): Remembered {
    const stored = localStorage.getItem(key);
    return stored ? (JSON.parse(stored) as Remembered) : this.#write({ subscriber: newSubscriber(), absences: [] });
  }

  #write(remembered: Remembered): Remembered {
    localStorage.setItem(key, JSON.stringify(remembered));
    return remembered;
  }
}

function newSubscriber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return `dashboard-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
