/** Hubs of a cluster that die or stand still. */
import { setTimeout as after } from "node:timers/promises";
import { crew } from "../crash/load.ts";
import { clusterTest, freezeMs } from "./run.ts";

const { group } = crew.options;

clusterTest("keeps its promises while hubs are killed and frozen, also the one that owns the group (G1 to G11, G13)", {
  hubs: 3,
  async faults({ site, cast, goesOn }) {
    const victim = site.anyHub();
    await victim.kill();
    await goesOn();
    await victim.start();

    const owner = await site.owner(group);
    await owner.kill();
    await goesOn();
    await owner.start();

    const frozen = await site.owner(group);
    frozen.freeze();
    // Whoever was there stays there; those who come now come to the others.
    const restarts = [cast.restartPublisher(), cast.restartSubscriber(), cast.restartWorker()];
    // Not a wait for anything: this time is the fault.
    await Promise.all([after(freezeMs), ...restarts]);
    await goesOn();
    frozen.thaw();
    await goesOn();
  },
});
