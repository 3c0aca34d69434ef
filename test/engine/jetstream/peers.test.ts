/** What peers over NATS add to the contract: a hub that falls silent, and servers that come and go. */
import { beforeAll, describe, expect, test } from "vitest";
import { silentMs } from "../../../server/src/engine/engine.ts";
import { Cluster } from "../../../server/src/engine/jetstream/cluster.ts";
import { JetStreamPeers } from "../../../server/src/engine/jetstream/jetstream-peers.ts";
import { type Clock, systemChance, systemClock } from "../../../server/src/runtime/clock.ts";
import { silentLogger } from "../../../server/src/runtime/logger.ts";
import { VirtualClock } from "../../hub/support.ts";
import { type NatsNode, natsServer, startNats } from "../../support/nats.ts";
import { whenDone } from "../../support/temp.ts";
import { Collected, eventually, until } from "../../support/waiting.ts";
import { bytes, textOf } from "./states.ts";

describe.skipIf(natsServer === undefined)("peers over NATS", () => {
  let node: NatsNode;
  beforeAll(async () => {
    node = await startNats();
  });

  /** Two hubs that have heard of each other. */
  const two = async (prefix: string, { server = node, clock = systemClock as Clock } = {}) => {
    const open = async () => {
      const parts = { clock, logger: silentLogger };
      const cluster = await Cluster.open({ servers: [server.url], prefix, replicas: 1, monitors: [] }, parts);
      whenDone(() => cluster.close());
      return { cluster, peers: new JetStreamPeers({ ...parts, cluster, chance: systemChance }) };
    };
    const [one, other] = [await open(), await open()];
    await eventually(() => one.peers.others.length === 1 && other.peers.others.length === 1);
    return [one, other] as const;
  };

  /** What one hears from the other. That this listens comes by a connection of its own, perhaps after the question. */
  const echoed = (one: JetStreamPeers, other: JetStreamPeers) =>
    until(async () => {
      const answer = await one.ask(other.self, "echo", bytes("hello"), 5_000).catch(() => undefined);
      return answer && textOf(answer);
    }, "answered");

  test("takes a hub for gone that is not heard of any more", async () => {
    const [one, other] = await two("silent");
    const gone = new Collected<string>();
    one.peers.onGone(gone.add);
    await other.cluster.close();
    expect(one.peers.isThere(other.peers.self)).toBe(true);
    expect(await gone.reach(1)).toEqual([other.peers.self]);
    expect([one.peers.others, one.peers.isThere(other.peers.self)]).toEqual([[], false]);
  });

  test("takes nobody for gone because the server was away", async () => {
    const [one, other] = await two("away");
    const gone = new Collected<string>();
    for (const { peers } of [one, other]) peers.onGone(gone.add);
    await node.kill();
    await eventually(() => !one.cluster.connected && !other.cluster.connected);
    await expect(one.peers.ask(other.peers.self, "echo", bytes("?"), 100)).rejects.toMatchObject({
      code: "unavailable",
    });
    await node.start();
    await eventually(() => one.cluster.connected && other.cluster.connected);
    other.peers.on("echo", async (words) => bytes(`${textOf(words)}!`));
    expect(await echoed(one.peers, other.peers)).toBe("hello!");
    expect(gone.items).toEqual([]);
    expect(one.peers.isThere(other.peers.self)).toBe(true);
  });

  test("takes nobody for gone because the server stood still", async () => {
    const clock = new VirtualClock();
    const own = await startNats();
    const [one, other] = await two("still", { server: own, clock });
    const gone = new Collected<string>();
    for (const { peers } of [one, other]) peers.onGone(gone.add);
    own.freeze();
    // Before anybody finds out that the connection is of no use.
    await clock.advance(3 * silentMs);
    own.thaw();
    other.peers.on("echo", async (words) => words);
    expect(await echoed(one.peers, other.peers)).toBe("hello");
    await clock.advance(1_000);
    expect(gone.items).toEqual([]);
    expect(one.peers.isThere(other.peers.self)).toBe(true);
  });

  test("brings topics of every name, and tells apart what is said by others under another prefix", async () => {
    const [one, other] = await two("here");
    const [stranger] = await two("here2");
    const heard = new Collected<string>();
    const topics = ["a.b", "a/b", "group >", "*"];
    for (const topic of topics) other.peers.on(topic, (words) => void heard.add(`${topic}: ${textOf(words)}`));
    for (const topic of topics) {
      stranger.peers.tellAll(topic, bytes("stranger"));
      one.peers.tellAll(topic, bytes("1"));
    }
    expect(await heard.reach(topics.length)).toEqual(topics.map((topic) => `${topic}: 1`));
  });
});
