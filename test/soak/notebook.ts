/** Histories of clients that live in this process and outlive what is checked: kept in memory, and forgotten once they are. */
import type { Happened, HistoryEvent } from "../checker/history.ts";

export class Notebook {
  #events: HistoryEvent[] = [];

  /** Notes what a process, or what stands for one, did and saw. */
  of(process: string): { write(happened: Happened): void } {
    return {
      write: (happened) => {
        this.#events.push({ process, at: performance.now(), ...happened });
      },
    };
  }

  /** What was noted since the last call, in the order in which it happened. */
  take(): readonly HistoryEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
