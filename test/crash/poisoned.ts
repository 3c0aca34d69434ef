/** A worker that is killed by one of its messages, each time it gets it. It does the others. */
import { connect } from "@dogear/client";

const dogear = connect(process.argv[2] as string, { backoff: { baseMs: 20, capMs: 100 } });
const policy = { group: "crew", leaseMs: 200, maxFailures: 3, backoff: { minMs: 0 } };
dogear.work("orders.>", { ...policy, window: 1 }, ({ data }) => {
  if (data === "poison") process.kill(process.pid, "SIGKILL");
});
console.log("started");
