/** Who is connected: every session that was let in, until its connection ends. */
import type { ClosingErrorCode, SessionReport } from "@dogear/shared";
import type { Principal } from "../access/principal.ts";

/** A session, as much of it as others need. */
export interface Attendee {
  readonly id: string;
  readonly principal: Principal;
  report(): SessionReport;
  close(code: ClosingErrorCode): void;
}

export class Roster {
  readonly #attendees = new Map<string, Attendee>();

  get size(): number {
    return this.#attendees.size;
  }

  enter(attendee: Attendee): void {
    this.#attendees.set(attendee.id, attendee);
  }

  leave(attendee: Attendee): void {
    this.#attendees.delete(attendee.id);
  }

  find(id: string): Attendee | undefined {
    return this.#attendees.get(id);
  }

  /** Ordered by id: the next after an id, or the first. */
  list(after: string, limit: number): readonly Attendee[] {
    const ids = [...this.#attendees.keys()].filter((id) => id > after).sort();
    return ids.slice(0, limit).map((id) => this.#attendees.get(id) as Attendee);
  }

  /** Ends every session that something holds of; returns how many. */
  close(code: ClosingErrorCode, holds: (attendee: Attendee) => boolean): number {
    const ended = [...this.#attendees.values()].filter(holds);
    for (const attendee of ended) attendee.close(code);
    return ended.length;
  }
}
