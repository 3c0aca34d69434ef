/** A cluster of which every part is restarted, one after the other, as for an update. */
import { clusterTest } from "./run.ts";

clusterTest("keeps its promises while all nodes and all hubs are restarted one by one (G1 to G11, G13)", {
  hubs: 2,
  async faults({ site, cast, goesOn }) {
    for (const node of site.cluster.nodes) {
      await node.stop();
      await node.start();
      await site.cluster.ready();
      await goesOn();
    }
    for (const hub of site.hubs) {
      await Promise.all([hub.kill("SIGTERM"), cast.restartSubscriber()]);
      await hub.start();
      await goesOn();
    }
  },
});
