/** The state store and the peers in JetStream on three servers, one of which is killed or frozen. */
import { describe, expect, test } from "vitest";
import type { Changed } from "../../../server/src/engine/engine.ts";
import type { JetStreamState } from "../../../server/src/engine/jetstream/jetstream-state.ts";
import { type NatsCluster, natsServer, startNatsCluster } from "../../support/nats.ts";
import { Collected, until } from "../../support/waiting.ts";
import { bytes, openStates, textOf } from "./states.ts";

describe.skipIf(natsServer === undefined)("the state store on three servers", () => {
  test("shows to every hub at once what any of them has stored", async () => {
    const { nodes } = await startNatsCluster(3);
    // Each is connected to another server, which a direct question is answered by.
    const states: JetStreamState[] = [];
    for (const { url } of nodes) states.push(...(await openStates(1, { servers: [url], replicas: 3, prefix: "seen" })));
    const versions = Array.from({ length: 5 }, () => 0);
    for (let round = 0; round < 100; round++) {
      const [writer, reader] = [states[round % 3], states[(round + 1) % 3]] as [JetStreamState, JetStreamState];
      const key = round % 5;
      versions[key] = (await writer.put(`k/${key}`, bytes(`${round}`), versions[key] as number)) as number;
      const [listed, entry] = await Promise.all([reader.list("k/"), reader.get(`k/${key}`)]);
      expect(textOf(entry?.value)).toBe(`${round}`);
      expect(textOf(listed[key]?.value)).toBe(`${round}`);
      expect(listed.map(({ version }) => version)).toEqual(versions.filter((version) => version > 0));
    }
  });

  for (const [how, lose] of [
    ["killed", (node) => node.kill()],
    ["frozen", async (node) => node.freeze()],
  ] satisfies [string, (node: NatsCluster["nodes"][number]) => Promise<unknown>][]) {
    test(`goes on, also for those who watch, when the leader is ${how}`, async () => {
      const cluster = await startNatsCluster(3);
      const servers = cluster.nodes.map(({ url }) => url);
      const [one, other] = (await openStates(2, { servers, replicas: 3, prefix: "lost" })) as [
        JetStreamState,
        JetStreamState,
      ];
      // Each has its consumer on a server of its own choice: with these there is one on every server.
      const watches = Array.from({ length: 6 }, (_, i) => watched(i % 2 === 0 ? one : other));
      const first = (await one.put("k", bytes("1"), 0)) as number;
      await Promise.all(watches.map((seen) => seen.find(({ version }) => version === first)));
      await lose(await cluster.leaderOf("KV_lost-state"));
      const second = await stored(other, "2");
      const haveSeen = async (version: number) => watches.every(({ items }) => (items.at(-1)?.version ?? 0) >= version);
      await until(() => haveSeen(second), "seen by all who watch");
      for (const { items } of watches) {
        const versions = items.map(({ version }) => version);
        expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
      }
    }, 90_000);
  }
});

/** The version of a record, once it could be stored: what was not answered may have been stored, or not. */
async function stored(state: JetStreamState, value: string): Promise<number> {
  for (;;) {
    try {
      const entry = await state.get("k");
      const version = await state.put("k", bytes(value), entry?.version ?? 0);
      if (version !== undefined) return version;
    } catch (error) {
      expect(error).toMatchObject({ code: "unavailable" });
    }
  }
}

function watched(state: JetStreamState): Collected<Changed> {
  const seen = new Collected<Changed>();
  void (async () => {
    for await (const change of state.watch("", new AbortController().signal)) seen.add(change);
  })().catch(() => {});
  return seen;
}
