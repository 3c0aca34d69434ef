/** A cluster that is no majority any more, or is gone altogether. */
import { expect } from "vitest";
import type { HistoryEvent } from "../checker/history.ts";
import { until } from "../support/waiting.ts";
import { clusterTest, now } from "./run.ts";

clusterTest(
  "acknowledges nothing while most nodes are gone, and goes on by itself when they are back (G1 to G11, G13)",
  {
    hubs: 2,
    async faults({ site, cast, goesOn }) {
      const { cluster } = site;
      const [first, second] = [await site.leader(), await site.follower()];
      await Promise.all([first.kill(), second.kill()]);
      const since = now();
      const isRefused = async () => (await cast.publishOnce()) === "unavailable";
      await until(isRefused, "a draft that is refused");
      expect(await cast.publishOnce()).toBe("unavailable");
      expect(acknowledged(cast.history(), since)).toEqual([]);
      await Promise.all([first.start(), second.start()]);
      await goesOn();
      await cluster.ready();

      // Nothing was flushed, but what a process has written outlives it.
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      await Promise.all(cluster.nodes.map((node) => node.start()));
      await goesOn();
      await cluster.ready();
    },
  },
);

/** The drafts that were published or scheduled since a time and are acknowledged. */
function acknowledged(events: readonly HistoryEvent[], since: number): string[] {
  const begun = new Set<string>();
  const found: string[] = [];
  for (const event of events) {
    if (event.op !== "publish" && event.op !== "schedule") continue;
    if (event.kind === "invoke" && event.at > since) begun.add(event.draft);
    if (event.kind === "ok" && begun.has(event.draft)) found.push(event.draft);
  }
  return found;
}
