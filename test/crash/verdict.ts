/** What the checker says of a whole cast, once it has finished. */
import type { Durability } from "@dogear/shared";
import { check, type Violation } from "../checker/checker.ts";
import type { HistoryEvent } from "../checker/history.ts";
import type { Cast } from "./cast.ts";
import { crew, namespaces } from "./load.ts";

export interface Verdict {
  readonly violations: readonly Violation[];
  /** How much happened, in figures. */
  readonly summary: string;
}

/** @param durability The most that an acknowledgement may claim. */
export async function verdictOn(cast: Cast, durability: Durability): Promise<Verdict> {
  await cast.readAll();
  const history = cast.history();
  const violations = check(history, {
    namespaces,
    finishers: cast.finishers,
    durability: Object.fromEntries(namespaces.map((namespace) => [namespace, durability])),
    groups: { [crew.options.group]: { pattern: crew.pattern, finished: true } },
  });
  return { violations, summary: `${summary(history)}, violations ${violations.length}` };
}

function summary(history: readonly HistoryEvent[]): string {
  const count = (op: string, kind: string) => history.filter((event) => event.op === op && event.kind === kind).length;
  const published = count("publish", "invoke");
  const [acknowledged, refused] = [count("publish", "ok"), count("publish", "fail")];
  const unknown = published - acknowledged - refused;
  return (
    `${published} published: ${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown; ` +
    `${count("schedule", "ok")} scheduled; ${count("deliver", "invoke")} deliveries; ` +
    `${count("lease", "invoke")} leases, ${count("settle", "ok")} settled`
  );
}
