/** What somebody is to be allowed, as people type it: `publish,subscribe:orders.>`. */
import type { Capabilities, Right } from "../index.ts";
import { CommandError } from "./usage.ts";

export const canOption = {
  can: {
    type: "string",
    multiple: true,
    value: "rights:pattern",
    says: "publish, subscribe, work or admin, there; may be given again",
  },
} as const;

/** The paragraph of the help that says more. */
export const canAbout: string =
  "--can says what may be done where: rights joined by commas, a colon, and a pattern. In it {user} stands for the name, " +
  "so that --can 'subscribe:inbox.{user}.>' is one's own inbox, and > alone is everything. All else is refused.";

/** Undefined where nothing was said. */
export async function capabilitiesOf(can: readonly string[] | undefined): Promise<Capabilities | undefined> {
  if (can === undefined) return undefined;
  const { isCapabilities } = await import("../index.ts");
  const granted = new Map<string, Right[]>();
  for (const text of can) {
    const [, rights = "", pattern = ""] = text.match(/^([^:]*):(.*)$/s) ?? [];
    const capability = { [pattern]: rights.split(",") };
    if (!isCapabilities(capability)) {
      const example = "publish,subscribe:orders.>";
      throw new CommandError("usage", `--can is rights:pattern such as ${example}, not ${JSON.stringify(text)}.`);
    }
    granted.set(pattern, [...new Set([...(granted.get(pattern) ?? []), ...(capability[pattern] ?? [])])]);
  }
  return Object.fromEntries(granted);
}
