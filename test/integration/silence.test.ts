/** Connections that seem fine while nothing gets through any more, and how each side notices. */

import { expect, test } from "vitest";
import { Dogear } from "../../client/src/client.ts";
import { happening } from "../support/hub.ts";
import { hurriedRuntime } from "../support/hurried.ts";
import { whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { publishNumbers, startWorld, upTo } from "./support.ts";

test("a client that hears nothing any more takes the connection for dead and comes back (P-14, G5)", async () => {
  const { proxy, local } = await startWorld({ config: { limits: { heartbeatMs: 100, heartbeatGraceMs: 30_000 } } });
  const hurried = new Dogear(proxy.url, {}, hurriedRuntime(20));
  whenDone(() => hurried.close());
  const seen = new Collected<unknown>();
  await hurried.subscribe("a.*", {}, ({ data }) => seen.add(data)).ready();
  proxy.lose("to-client");
  proxy.lose("to-hub");
  await publishNumbers(local, 10);
  const { code } = await happening(hurried, "state", ({ name }) => name === "waiting");
  expect(code).toBe("heartbeat-timeout");
  expect(await seen.reach(10)).toEqual(upTo(10));
});

test("a hub that hears nothing any more closes the connection, and the client comes back (P-14)", async () => {
  const { proxy, remote, local } = await startWorld({
    config: { limits: { heartbeatMs: 200, heartbeatGraceMs: 200 } },
  });
  const seen = new Collected<unknown>();
  await remote.subscribe("a.*", { cursor: true }, ({ data }) => seen.add(data)).ready();
  proxy.lose("to-hub");
  await publishNumbers(local, 10);
  const { code } = await happening(remote, "state", ({ name }) => name === "waiting");
  expect(code).toBe("heartbeat-timeout");
  await happening(remote, "resumed");
  await local.publish("a.b", 11);
  expect(await seen.reach(11)).toEqual(upTo(11));
});
