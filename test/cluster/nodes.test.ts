/** Nodes of a cluster that die, stand still, or come back with nothing. */
import { setTimeout as after } from "node:timers/promises";
import { clusterTest, freezeMs } from "./run.ts";

clusterTest(
  "keeps its promises while nodes are killed, frozen and emptied, also the stream's leader (G1 to G11, G13)",
  {
    hubs: 2,
    async faults({ site, goesOn }) {
      const { cluster } = site;
      const follower = await site.follower();
      await follower.kill();
      await goesOn();
      await follower.start();
      await cluster.ready();

      const leader = await site.leader();
      await leader.kill();
      await goesOn();
      await leader.start();
      await cluster.ready();

      const frozen = await site.leader();
      frozen.freeze();
      // Not a wait for anything: this time is the fault.
      await after(freezeMs);
      await goesOn();
      frozen.thaw();
      await cluster.ready();
      await goesOn();

      const emptied = await site.follower();
      await emptied.kill();
      emptied.empty();
      await emptied.start();
      await cluster.ready();
      await goesOn();
      // What it was given back is as good as what it had: the two others alone would be no majority without it.
      const other = cluster.nodes.find((node) => node !== emptied);
      await other?.kill();
      await goesOn();
      await other?.start();
      await cluster.ready();
    },
  },
);
