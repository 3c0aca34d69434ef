/** What the state store in JetStream adds to the contract: several hubs write to it, and servers come and go. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Change, Changed } from "../../../server/src/engine/engine.ts";
import type { JetStreamState } from "../../../server/src/engine/jetstream/jetstream-state.ts";
import { type NatsNode, natsServer, startNats } from "../../support/nats.ts";
import { Collected } from "../../support/waiting.ts";
import { bytes, openStates, textOf } from "./states.ts";

describe.skipIf(natsServer === undefined)("the state store in JetStream", () => {
  let node: NatsNode;
  beforeAll(async () => {
    node = await startNats();
  });

  const two = async (): Promise<[JetStreamState, JetStreamState]> => {
    const [one, other] = await openStates(2, { servers: [node.url] });
    return [one, other] as [JetStreamState, JetStreamState];
  };

  test("lets one of two hubs win that store over the same version", async () => {
    const [one, other] = await two();
    let version = 0;
    for (let round = 0; round < 100; round++) {
      const versions = await Promise.all([
        one.put("k", bytes(`one ${round}`), version),
        other.put("k", bytes(`other ${round}`), version),
      ]);
      const won = versions.filter((answer) => answer !== undefined);
      expect(won).toHaveLength(1);
      version = won[0] as number;
      const winner = versions[0] === undefined ? "other" : "one";
      expect(textOf((await one.get("k"))?.value)).toBe(`${winner} ${round}`);
    }
  });

  test("makes all changes of one hub or all of another, never some of each", async () => {
    const [one, other] = await two();
    const keys = ["a", "b", "c", "d"];
    let versions = [0, 0, 0, 0];
    const change = (value: string): Change[] =>
      keys.map((key, i) => ({ key, value: bytes(value), version: versions[i] as number }));
    for (let round = 0; round < 30; round++) {
      const answers = await Promise.all([one.putAll(change(`one ${round}`)), other.putAll(change(`other ${round}`))]);
      expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
      const entries = await other.list("");
      const winner = answers[0] === undefined ? "other" : "one";
      expect(entries.map(({ value }) => textOf(value))).toEqual(keys.map(() => `${winner} ${round}`));
      versions = entries.map((entry) => entry.version);
    }
  });

  test("lets one of two hubs store a record again that was removed", async () => {
    const [one, other] = await two();
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all([one.put("k", bytes("1"), 0), other.put("k", bytes("1"), 0)]);
      const [version] = answers.filter((answer) => answer !== undefined);
      expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
      expect(await other.putAll([{ key: "k", value: undefined, version: version as number }])).toEqual([0]);
      expect([await one.get("k"), await one.list("k")]).toEqual([undefined, []]);
    }
  });

  test("keeps keys of every printable character, and the longest", async () => {
    const [one, other] = await two();
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    const keys = [
      ...printable.flatMap((character) => [`k/${character}`, `k/${character}${character}/x`]),
      "k/",
      `k/${"*".repeat(1_898)}`,
    ].sort();
    const versions = await one.putAll(keys.map((key) => ({ key, value: bytes(key), version: 0 })));
    const stored = keys.map((key, i) => ({ key, value: new Uint8Array(bytes(key)), version: versions?.[i] }));
    expect(await other.list("k/")).toEqual(stored);
    const watched = new Collected<Changed>();
    const stop = new AbortController();
    const watching = watch(other, "k/", stop.signal, watched);
    await watched.reach(keys.length);
    stop.abort();
    await watching;
    expect(watched.items.map(({ key }) => key).sort()).toEqual(keys);
    expect(await other.list("k/=")).toEqual(stored.filter(({ key }) => key.startsWith("k/=")));
  });

  test("makes more changes than a batch holds, in order", async () => {
    const [one, other] = await two();
    const changes = Array.from({ length: 3_000 }, (_, i) => ({ key: `k/${i}`, value: bytes(`${i}`), version: 0 }));
    const versions = (await one.putAll(changes)) as readonly number[];
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    const listed = await other.list("k/");
    expect(new Map(listed.map(({ key, version }) => [key, version]))).toEqual(
      new Map(changes.map(({ key }, i) => [key, versions[i]])),
    );
    const removing = changes.map(({ key }, i) => ({ key, value: undefined, version: versions[i] as number }));
    removing[2_500] = { key: "k/2500", value: undefined, version: 1 };
    expect(await other.putAll(removing)).toBeUndefined();
    const left = (await one.list("k/")).map(({ key }) => Number(key.slice(2))).sort((a, b) => a - b);
    expect(left).toEqual(Array.from({ length: left.length }, (_, i) => 3_000 - left.length + i));
    expect(left).toContain(2_500);
  });

  test("stores much at once from both hubs, each record once", async () => {
    const [one, other] = await two();
    const keys = Array.from({ length: 60 }, (_, i) => `k/${i}`);
    const pairs = (state: JetStreamState) =>
      keys.map((key) =>
        state.putAll([
          { key, value: bytes("1"), version: 0 },
          { key: `${key}/b`, value: bytes("1"), version: 0 },
        ]),
      );
    const [here, there] = await Promise.all([Promise.all(pairs(one)), Promise.all(pairs(other))]);
    for (const [i] of keys.entries()) {
      expect([here[i], there[i]].filter((answer) => answer === undefined)).toHaveLength(1);
    }
    expect(await one.list("k/")).toHaveLength(120);
  });

  test("goes on being watched when the server was away, and stores nothing meanwhile", async () => {
    const [one, other] = await two();
    const watched = new Collected<Changed>();
    const stop = new AbortController();
    const watching = watch(one, "w/", stop.signal, watched);
    const first = (await other.put("w/a", bytes("1"), 0)) as number;
    await other.put("w/b", bytes("1"), 0);
    await watched.reach(2);
    await node.kill();
    await expect(other.put("w/a", bytes("2"), first)).rejects.toMatchObject({ code: "unavailable" });
    await node.start();
    await node.ready();
    let second: number | undefined;
    while (second === undefined) {
      // What was not answered may have been stored.
      const version = (await other.get("w/a").catch(() => undefined))?.version;
      if (version !== undefined) second = await other.put("w/a", bytes("3"), version).catch(() => undefined);
    }
    await watched.find(({ key, version }) => key === "w/a" && version === second);
    const versions = watched.items.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    stop.abort();
    await watching;
  });

  test("says to who watches that it cannot go on where the records are others", async () => {
    const own = await startNats();
    const [state] = (await openStates(1, { servers: [own.url], prefix: "lost" })) as [JetStreamState];
    await state.put("k", bytes("1"), 0);
    const watched = new Collected<Changed>();
    const watching = watch(state, "", new AbortController().signal, watched);
    await watched.reach(1);
    await own.stop();
    own.empty();
    await own.start();
    await own.ready();
    await expect(watching).rejects.toMatchObject({ code: "unavailable" });
  });

  test("refuses a bucket that is not as the configuration says, and says what to do", async () => {
    await openStates(1, { servers: [node.url], prefix: "refused" });
    await expect(openStates(1, { servers: [node.url], prefix: "refused", replicas: 3 })).rejects.toThrow(
      /KV_refused-state has num_replicas 1, and Dogear needs 3.*nats stream edit/,
    );
  });
});

async function watch(
  state: JetStreamState,
  prefix: string,
  signal: AbortSignal,
  seen: Collected<Changed>,
): Promise<void> {
  for await (const change of state.watch(prefix, signal)) seen.add(change);
}
