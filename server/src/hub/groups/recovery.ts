/** Takes up a group as it was stored, and what the log says became of its messages since. */
import type { Ledger } from "../ledger.ts";
import type { Burials } from "./burials.ts";
import type { Item } from "./item.ts";
import type { Leases } from "./leases.ts";
import type { GroupHead } from "./record.ts";

export async function recover(
  ledger: Ledger<GroupHead, Item>,
  burials: Burials,
  leases: Leases,
  now: () => number,
): Promise<void> {
  const { causes, through } = await burials.since(ledger.head.buried);
  for (const cause of causes) ledger.remove(cause);
  ledger.head.buried = through;
  const waits = ({ stage }: Item) => stage === "waiting";
  const items = [...ledger.entries()].sort((a, b) => a.offset - b.offset);
  // Those that hold up others first.
  for (const item of [...items.filter((item) => !waits(item)), ...items.filter(waits)]) leases.restore(item, now());
}
