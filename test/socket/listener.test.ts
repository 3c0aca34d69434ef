/** The listener's own rules: when it gives up waiting. What it lets in is tested over sockets. */
import { defaultLimits } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { Origins } from "../../server/src/access/origins.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { handle } from "../../server/src/session/handlers.ts";
import { Heartbeats } from "../../server/src/session/heartbeats.ts";
import { Listener } from "../../server/src/socket/listener.ts";
import { Proxies } from "../../server/src/socket/peer.ts";
import { memoryHub, settled, VirtualClock } from "../hub/support.ts";
import { Client, publish } from "../session/support.ts";
import { chance } from "../support/clock.ts";

describe("a hub that stops", () => {
  it("waits for the drafts it has taken, but not longer than drainMs (P-16)", async () => {
    const clock = new VirtualClock();
    const { hub, logs } = await memoryHub(clock);
    const listener = new Listener({
      host: "127.0.0.1",
      port: 0,
      tls: undefined,
      proxies: new Proxies([]),
      origins: new Origins({ origins: [], hosts: [], isOpen: true }),
      codecs: new Map(),
      session: {
        hub,
        clock,
        chance,
        metrics: new Metrics(),
        handle,
        limits: defaultLimits,
        logger: silentLogger,
        heartbeats: new Heartbeats(clock),
        name: "dogear/test",
      },
      http: () => {},
    });
    const client = await Client.greet(hub, clock);
    listener.sessions.add(client.session);
    for (const log of logs) log.holding = true;
    await client.say(publish(1));

    let drained = false;
    void listener.drain().then(() => {
      drained = true;
    });
    await clock.advance(defaultLimits.drainMs - 1);
    expect(drained).toBe(false);
    expect(client.all("draining")).toHaveLength(1);
    await clock.advance(1);
    await settled();
    expect(drained).toBe(true);
  });
});
