/** The error of a subscription that will not go on over a gap. */
import { clientSentences, DogearError, type Gap, type Position } from "@dogear/shared";

/**
 * Messages were removed before this subscription was given them. To go on after the gap, subscribe
 * `{ from: error.position }`; a durable subscription needs `reset: true` as well.
 */
export class GapError extends DogearError {
  /** What is missing, and why. */
  declare readonly gap: Gap;
  /** Where the log goes on. */
  declare readonly position: Position;

  constructor(gap: Gap, position: Position) {
    super("gap", `${clientSentences.gap} From ${gap.from} to ${gap.to ?? "?"}: ${gap.reason}.`);
    this.name = "GapError";
    this.gap = gap;
    this.position = position;
  }
}
