/** A time in which this page was not there, and what was published meanwhile. */
import type { Position } from "@dogear/client";

export interface Absence {
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Everything up to here had been seen. */
  readonly after: Position;
  /** When the hub was there again. */
  readonly until?: number | undefined;
  /** With this, everything missed had been delivered. */
  readonly through?: Position | undefined;
}

/** Whether a message was published while the page was away, and so was delivered late. */
export function covers({ after, through }: Absence, place: Position): boolean {
  return follows(after, place) && !(through && follows(through, place));
}

/** A place of another epoch is in a newer one: the log began anew, and nothing in it had been seen. */
function follows(position: Position, place: Position): boolean {
  return place.epoch !== position.epoch || place.offset > position.offset;
}
