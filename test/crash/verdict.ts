/** What the checker says of a whole cast, once it has finished. */
import { matcher, type Offset } from "@dogear/shared";
import { check, type LoggedMessage } from "../support/checker.ts";
import { checkGroups } from "../support/group-checker.ts";
import type { HistoryEvent } from "../support/history.ts";
import type { Cast } from "./cast.ts";
import { crew, namespaces } from "./load.ts";

export interface Verdict {
  readonly violations: readonly string[];
  /** How much happened, in figures. */
  readonly summary: string;
}

export async function verdictOn(cast: Cast): Promise<Verdict> {
  const events = cast.history();
  const log = await cast.readLog();
  const work = new Map([[crew.options.group, workIn(log)]]);
  const violations = [
    ...check({ namespaces, events, log, finishers: cast.finishers }),
    ...checkGroups({ events, deadLetters: await cast.readDeadLetters(), work }),
  ];
  return { violations, summary: `${summary(events)}, violations ${violations.length}` };
}

/** The messages that the group had to settle. */
function workIn(log: readonly LoggedMessage[]): Offset[] {
  const isWork = matcher(crew.pattern);
  return log.filter(({ channel }) => isWork(channel)).map(({ offset }) => offset);
}

function summary(events: readonly HistoryEvent[]): string {
  const count = (op: string, kind: string) => events.filter((event) => event.op === op && event.kind === kind).length;
  const published = count("publish", "invoke");
  const [acknowledged, refused] = [count("publish", "ok"), count("publish", "fail")];
  const unknown = published - acknowledged - refused;
  return (
    `${published} published: ${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown; ` +
    `${count("schedule", "ok")} scheduled; ${count("deliver", "invoke")} deliveries; ` +
    `${count("lease", "invoke")} leases, ${count("settle", "ok")} settled`
  );
}
