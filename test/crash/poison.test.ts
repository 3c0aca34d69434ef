/** A message that kills every worker that takes it must not do so for ever. */
import { join } from "node:path";
import { admin } from "@dogear/client/admin";
import { expect, test } from "vitest";
import { clientOf, startHub } from "../support/hub.ts";
import { startScript } from "../support/process.ts";
import { buildScripts } from "./scripts.ts";

test("a message that kills its worker again and again is a dead letter, and the others are done (G10, P-57)", async () => {
  const hub = await startHub();
  const dogear = clientOf(hub.url);
  await dogear.publish("orders.new", "poison");
  await dogear.publishAll([1, 2, 3].map((data) => ({ channel: "orders.new", data })));

  const script = join(await buildScripts("poisoned"), "poisoned.js");
  const operator = admin(dogear);
  let worker = startScript(script, [hub.url]);
  await worker.untilLine(/^started$/);
  let deaths = 0;
  let report = await operator.group("crew").catch(() => undefined);
  while (report === undefined || report.dead === 0 || report.lag.messages > 0) {
    const exit = await Promise.race([worker.exited, operator.group("crew").catch(() => undefined)]);
    if (exit !== undefined && "signal" in exit) {
      expect(exit.signal).toBe("SIGKILL");
      deaths++;
      worker = startScript(script, [hub.url]);
    } else {
      report = exit;
    }
  }
  expect(deaths).toBe(3);
  expect(report).toMatchObject({ dead: 1, lost: 0 });
  for await (const { data, headers } of dogear.subscribe(report.deadChannel, { from: "earliest" })) {
    expect(data).toBe("poison");
    expect(headers).toMatchObject({
      "dogear-reason": "max-failures",
      "dogear-failures": "3",
      "dogear-deliveries": "3",
    });
    break;
  }
});
