/** A promise that was broken: which one, how, and by which events. */
import type { HistoryEvent } from "./history.ts";

/** The promises of DESIGN that a history can break. */
export type Promised =
  | "G1"
  | "G2"
  | "G3"
  | "G4"
  | "G5"
  | "G6"
  | "G7"
  | "G8"
  | "G9"
  | "G10"
  | "G11"
  | "G12"
  | "G13"
  | "G14";

export class Violation {
  readonly promises: readonly Promised[];
  /** One sentence. */
  readonly says: string;
  /** What proves it, as far as it happened at all. */
  readonly events: readonly HistoryEvent[];

  constructor(
    promises: Promised | readonly Promised[],
    says: string,
    events: readonly (HistoryEvent | undefined)[] = [],
  ) {
    this.promises = [promises].flat();
    this.says = says;
    this.events = events.filter((event) => event !== undefined);
  }

  toString(): string {
    return `${this.promises.join(", ")}: ${this.says}`;
  }
}

/** The first violations in full, for people. */
export function explain(violations: readonly Violation[], most = 10): string {
  const shown = violations.slice(0, most).map((violation) => {
    const events = violation.events.map((event) => `    ${JSON.stringify(event)}`);
    return [String(violation), ...events].join("\n");
  });
  const left = violations.length - shown.length;
  return [...shown, ...(left > 0 ? [`… and ${left} more.`] : [])].join("\n");
}
