/** `dogear dead redrive`: a group's dead letters, once more. */
import type { GroupOptions, GroupReport, Redrive } from "@dogear/client/admin";
import { type Command, command, type Shell } from "../command.ts";
import { hubOptions } from "../hub.ts";
import { showProgress } from "../progress.ts";
import { CommandError } from "../usage.ts";
import { movedOf } from "./group-report.ts";
import { jsonOption, namespaceOption, type Operator, operandsOf, operate, within } from "./operator.ts";

export const deadRedrive: Command = command({
  name: "dead redrive",
  operands: "<group>",
  summary: "Give a group its dead letters once more",
  about: [
    "Gives the group all dead letters there are now that were not redriven before, and waits until that is done. Each " +
      "comes to a member as the message it was, with its failures counted anew. Ctrl-C ends the waiting, and not the " +
      "redrive; --cancel ends that.",
  ],
  options: {
    "no-wait": { type: "boolean", says: "begin, and do not wait until it is done" },
    cancel: { type: "boolean", says: "end the redrive that is running; what was given stays given" },
    ...namespaceOption,
    ...jsonOption,
    ...hubOptions,
  },
  examples: [
    { says: "Try all that billing has given up once more", line: "dogear dead redrive billing" },
    { says: "Rather not", line: "dogear dead redrive billing --cancel" },
  ],
  next: 'What becomes of them: "dogear help group show".',
  async run(values, operands, shell) {
    const [group] = operandsOf("dead redrive", ["a group"], operands);
    const { cancel, "no-wait": noWait, namespace } = values;
    if (cancel && noWait) throw new CommandError("usage", "--cancel goes without --no-wait.");
    const target: Target = { group, where: within(namespace) };
    if (cancel) {
      await operate(values, shell, async (operator) => {
        await tell(await operator.admin.cancelRedrive(group, target.where), operator);
      });
    } else if (noWait) {
      await operate(values, shell, (operator) => give(operator, target, () => begin(operator, target)));
    } else {
      const again = `dogear dead redrive ${group}${namespace === undefined ? "" : ` --namespace ${namespace}`}`;
      const left = `the redrive goes on, and "${again} --cancel" ends it`;
      await operate(values, shell, (operator) => give(operator, target, () => finish(operator, target, shell)), left);
    }
  },
});

interface Target {
  readonly group: string;
  readonly where: GroupOptions;
}

/** Redrives what there is to redrive, and tells how far that is. */
async function give(operator: Operator, { group, where }: Target, redrive: () => Promise<GroupReport>): Promise<void> {
  const { admin, say } = operator;
  const before = await admin.group(group, where);
  if (before.dead === 0 && before.redrive?.state !== "running") {
    return tell(before, operator, `${group} has no dead letters that were not redriven.`);
  }
  const why = before.paused ? "is paused" : before.members === 0 ? "has no members now" : undefined;
  if (why !== undefined) say(`${group} ${why}: until that changes, its dead letters wait.`);
  const after = await redrive();
  await tell(after, operator);
  if (after.redrive?.state === "cancelled") throw new CommandError("refused", "The redrive was cancelled.");
}

/** Resolves when the hub has said that it began. */
async function begin({ admin }: Operator, { group, where }: Target): Promise<GroupReport> {
  const begun = new AbortController();
  try {
    return await admin.redrive(group, { ...where, signal: begun.signal, onProgress: () => begun.abort() });
  } catch (error) {
    if (error !== begun.signal.reason) throw error;
    return admin.group(group, where);
  }
}

/** Resolves when it is done, or cancelled; shows meanwhile how far it is. */
function finish({ admin }: Operator, { group, where }: Target, { stderr, stop }: Shell): Promise<GroupReport> {
  let progress = "";
  const hideProgress = showProgress(stderr, () => progress);
  stop.addEventListener("abort", hideProgress);
  const onProgress = (redrive: Redrive): void => {
    progress = `${movedOf(redrive, true)} redriven`;
  };
  return admin.redrive(group, { ...where, onProgress }).finally(hideProgress);
}

const words = { running: "Redriving", done: "Redriven", cancelled: "Cancelled" } as const;

/** Tells how far the last redrive is, or why there was none. */
async function tell(report: GroupReport, { output, json }: Operator, why?: string): Promise<void> {
  const { redrive } = report;
  const how = redrive && `${words[redrive.state]}: ${movedOf(redrive, output.terminal)} dead letters.`;
  const sentence = why ?? how ?? "There is no redrive.";
  await output.write(`${json ? JSON.stringify(report) : sentence}\n`);
}
