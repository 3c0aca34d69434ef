/** Clients that stand still for so long that others take their place, and go on as if nothing had happened. */
import { join } from "node:path";
import { admin } from "@dogear/client/admin";
import { expect, test } from "vitest";
import { clientOf, startHub } from "../support/hub.ts";
import { type ChildProcess, startScript } from "../support/process.ts";
import { Collected, Door, until } from "../support/waiting.ts";
import { buildScripts } from "./scripts.ts";

/** A lease that is over soon; whoever runs extends it in time. */
const policy = { group: "crew", leaseMs: 1_000, backoff: { minMs: 0 } };

test("a member that is frozen beyond its lease settles nothing of what others have by then (G10)", async () => {
  const hub = await startHub();
  const dogear = clientOf(hub.url);
  const operator = admin(dogear);
  const deliveries: Collected<number> = new Collected();
  // Declares the policy, and leaves the first message to the other.
  const first = dogear.work("orders.>", policy, () => {});
  await new Promise((resolve) => first.addEventListener("working", resolve, { once: true }));
  await first.leave();
  const sleeper = await startSleeper(hub.url, "worker");
  await dogear.publish("orders.new", "parcel");
  await sleeper.untilLine(/^given parcel$/);
  sleeper.signal("SIGSTOP");

  const door = new Door();
  dogear.work("orders.>", policy, (message) => {
    deliveries.add(message.deliveries);
    return door.pass();
  });
  await deliveries.reach(1);
  await dogear.publish("wake", "up");
  sleeper.signal("SIGCONT");

  await sleeper.untilLine(/^refused parcel: lease-lost$/);
  door.open();
  await until(async () => (await operator.group("crew")).lag.messages === 0, "a message that is settled");
  // How often it went to the one who was frozen is the hub's affair.
  expect(deliveries.items).toEqual([expect.toSatisfy((count) => count > 1)]);
  expect(sleeper.stdout).not.toMatch(/settled/);
  expect(await operator.group("crew")).toMatchObject({ lag: { messages: 0 }, inFlight: 0, delayed: 0, dead: 0 });
});

test("a subscriber that is frozen while another takes its name moves nothing when it goes on (G9)", async () => {
  const hub = await startHub();
  const dogear = clientOf(hub.url);
  const sleeper = await startSleeper(hub.url, "subscriber");
  await dogear.publishAll([1, 2, 3].map((data) => ({ channel: "orders.new", data })));
  await sleeper.untilLine(/^given 1$/);
  sleeper.signal("SIGSTOP");

  const heir = clientOf(hub.url, { subscriber: "sleeper" });
  const given: Collected<unknown> = new Collected();
  const going = heir.subscribe("orders.>", { cursor: true }, ({ data }) => given.add(data));
  // What the other had not finished comes once more.
  expect(await given.reach(3)).toEqual([1, 2, 3]);
  await going.unsubscribe();
  await dogear.publish("wake", "up");
  sleeper.signal("SIGCONT");

  await sleeper.untilLine(/^ended: taken-over$/);
  const name = { user: heir.user as string, subscriber: "sleeper", pattern: "orders.>" };
  expect(await admin(dogear).cursor(name)).toMatchObject({ position: { offset: 3 }, lag: { messages: 0 } });
  expect(given.items).toEqual([1, 2, 3]);
});

async function startSleeper(url: string, role: "worker" | "subscriber"): Promise<ChildProcess> {
  const sleeper = startScript(join(await buildScripts("sleeper"), "sleeper.js"), [url, role]);
  await sleeper.untilLine(/^started$/);
  return sleeper;
}
