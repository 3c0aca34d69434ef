/** Logs in JetStream beyond the contract: several hubs on one log, what is refused, and what befalls a stream. */
import { createServer } from "node:net";
import type { Offset, Pattern } from "@dogear/shared";
import { StorageType } from "@nats-io/jetstream";
import { beforeAll, describe, expect, it } from "vitest";
import type { Appended, Draft, Log, NamespacePolicy } from "../../../server/src/engine/engine.ts";
import { epochOf, locate } from "../../../server/src/engine/lineage.ts";
import { all, dataOf, draft, draftWithId, parsed, plenty, policy } from "../../contract/support.ts";
import { type NatsNode, natsServer, startNats } from "../../support/nats.ts";
import { Collected } from "../../support/waiting.ts";
import { engines, freshPrefix, tamper } from "./support.ts";

const bySomeone = (number: number, previous: number): Draft =>
  draft("a", number, { by: "producer", producer: "p", number, previous });

const offsetOf = (answer: Appended | undefined) =>
  answer === undefined || "refused" in answer ? undefined : answer.offset;

async function everything(log: Log): Promise<ReturnType<typeof parsed>> {
  const found: ReturnType<typeof parsed> = [];
  const { newest } = await log.bounds();
  for (let at = 0 as Offset; at < newest; ) {
    const { messages, through } = await log.read(all, at, plenty);
    found.push(...parsed(messages));
    at = through;
  }
  return found;
}

describe.skipIf(natsServer === undefined)("a log in JetStream", () => {
  let node: NatsNode;
  beforeAll(async () => {
    node = await startNats();
  });
  const { open } = engines();
  const streamOf = (prefix: string) => `${prefix}-log-default`;

  async function opened(over: Partial<NamespacePolicy> = {}) {
    const prefix = freshPrefix();
    const renewed = new Collected<string>();
    const under = await open(node.url, prefix, { renewed: renewed.add });
    const log = await under.engine.open({ ...policy, ...over });
    return { prefix, renewed, under, log, namespace: { ...policy, ...over } };
  }

  /** The log of one more hub. */
  async function elsewhere({ under, namespace }: Awaited<ReturnType<typeof opened>>): Promise<Log> {
    return (await under.another()).open(namespace);
  }

  describe("of several hubs", () => {
    it("has one message for each number, in order, whoever publishes for a producer (G6, G7)", async () => {
      const first = await opened();
      const logs = [first.log, await elsewhere(first)];
      const last = 60;
      // Two connections of one producer, each sure that it is the one: what one has appended, the other repeats.
      const publishing = logs.map(async (log) => {
        for (let number = 1; number <= last; ) {
          const [answer] = await log.append([bySomeone(number, number - 1)]);
          if (offsetOf(answer) !== undefined) number++;
        }
      });
      await Promise.all(publishing);
      expect((await everything(first.log)).map(({ data }) => data)).toEqual(
        Array.from({ length: last }, (_, i) => i + 1),
      );
    });

    it("keeps runs of numbers whole that two hubs hand in at once (G6, G7)", async () => {
      const first = await opened();
      const logs = [first.log, await elsewhere(first)];
      const run = Array.from({ length: 300 }, (_, i) => bySomeone(i + 1, i));
      const answers = await Promise.all(logs.map((log) => log.append(run)));
      const offsets = answers.map((answer) => answer.map(offsetOf));
      expect(offsets[0]).toEqual(offsets[1]);
      expect((await everything(first.log)).map(({ data }) => data)).toEqual(run.map((_, i) => i + 1));
    });

    it("knows what another hub has appended for a producer since", async () => {
      const first = await opened();
      const other = await elsewhere(first);
      await first.log.append([bySomeone(1, 0)]);
      await other.append([bySomeone(2, 1), bySomeone(5, 2)]);
      expect(await first.log.append([bySomeone(6, 5), bySomeone(2, "repeat" as never)])).toEqual([
        { offset: 4, duplicate: false },
        { offset: 2, duplicate: true },
      ]);
      expect(await other.lastNumber("p")).toBe(6);
    });

    it("appends an id once, whoever publishes it (G7)", async () => {
      const first = await opened();
      const other = await elsewhere(first);
      expect(await first.log.append([draftWithId("a", 1, "x")])).toEqual([{ offset: 1, duplicate: false }]);
      expect(await other.append([draft("a", 2), draftWithId("a", 3, "x"), draftWithId("a", 4, "y")])).toEqual([
        { offset: 2, duplicate: false },
        { offset: 1, duplicate: true },
        { offset: 3, duplicate: false },
      ]);
    });

    it("appends an id again after its window, and once (G7)", async () => {
      const first = await opened();
      const other = await elsewhere(first);
      await first.log.append([draftWithId("a", 1, "x")]);
      first.under.advance(policy.deduplicationWindowMs + 1);
      const answers = await Promise.all([first.log, other].map((log) => log.append([draftWithId("a", 2, "x")])));
      expect(answers.map(([answer]) => offsetOf(answer))).toEqual([2, 2]);
      expect((await first.log.bounds()).newest).toBe(2);
    });

    it("remembers a number that was used up by a draft known by its id", async () => {
      const first = await opened();
      await first.log.append([draftWithId("a", 1, "x")]);
      await first.log.append([{ ...bySomeone(1, 0), id: "x" }]);
      const other = await elsewhere(first);
      expect(await other.append([bySomeone(2, 1)])).toEqual([{ offset: 2, duplicate: false }]);
    });

    it("follows what others append", async () => {
      const first = await opened();
      const other = await elsewhere(first);
      const stop = new AbortController();
      const seen = new Collected<unknown>();
      const following = (async () => {
        for await (const batch of first.log.follow(0 as Offset, stop.signal))
          for (const one of dataOf(batch)) seen.add(one);
      })();
      for (let i = 0; i < 20; i++) await (i % 2 === 0 ? first.log : other).append([draft("a", i)]);
      expect(await seen.reach(20)).toEqual(Array.from({ length: 20 }, (_, i) => i));
      stop.abort();
      await following;
    });

    it("tells what another hub has removed (G5)", async () => {
      const first = await opened({ retention: { ageMs: undefined, bytes: 200_000 } });
      const other = await elsewhere(first);
      await first.log.append([draft("quiet", 1)]);
      while ((await first.log.bounds()).oldest === 1) {
        await first.log.append(Array.from({ length: 20 }, () => draft("busy", "x".repeat(1_000))));
      }
      const { oldest } = await first.log.bounds();
      const gapOf = async (pattern: string, after: number) =>
        (await other.read(pattern as Pattern, after as Offset, plenty)).gap;
      expect(await gapOf("busy", 0)).toEqual({ from: 0, to: oldest - 1, reason: "retention" });
      expect(await gapOf("quiet", 0)).toEqual({ from: 0, to: 1, reason: "retention" });
      expect(await gapOf("quiet", 1)).toBeUndefined();
      expect(await gapOf("never", 0)).toBeUndefined();
    });

    it("begins a log in memory once although both open it at once", async () => {
      const renewed: string[] = [];
      const under = await open(node.url, freshPrefix(), { renewed: (namespace) => void renewed.push(namespace) });
      const engines = [under.engine, await under.another()];
      const inMemory = { ...policy, durability: "memory" } as const;
      const logs = await Promise.all(engines.map((engine) => engine.open(inMemory)));
      expect(logs[0]?.lineage).toEqual(logs[1]?.lineage);
      await logs[0]?.append([draft("a", 1)]);
      expect(await logs[1]?.bounds()).toMatchObject({ newest: 1 });
      expect(renewed).toEqual([]);
    });

    it("joins a log in memory that another hub has open", async () => {
      const first = await opened({ durability: "memory" });
      await first.log.append([draft("a", 1)]);
      const other = await elsewhere(first);
      expect(epochOf(other.lineage)).toBe(epochOf(first.log.lineage));
      expect(dataOf(await other.read(all, 0 as Offset, plenty))).toEqual([1]);
    });
  });

  describe("appends", () => {
    it("5,000 drafts of many calls in order (G6)", async () => {
      const { log } = await opened();
      await Promise.all(Array.from({ length: 5_000 }, (_, i) => log.append([draft(`c${i % 7}`, i)])));
      expect((await everything(log)).map(({ data }) => data)).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
    });

    it("more drafts at once than a batch takes", async () => {
      const { log } = await opened();
      const drafts = Array.from({ length: 2_500 }, (_, i) => bySomeone(i + 1, i));
      expect((await log.append(drafts)).map(offsetOf)).toEqual(drafts.map((_, i) => i + 1));
      expect((await everything(log)).map(({ data }) => data)).toEqual(drafts.map((_, i) => i + 1));
    });

    it("no draft that NATS would not take", async () => {
      const { log } = await opened();
      const large = draft("a", "x".repeat(2_000_000));
      await expect(log.append([draft("a", 1), large])).rejects.toMatchObject({ code: "message-too-large" });
      expect(await log.append([draft("a", 1)])).toEqual([{ offset: 1, duplicate: false }]);
    });

    it("nothing that waited for so long that nobody waits for it any more", async () => {
      const { log, under } = await opened();
      const appending = log.append([draft("a", 1)]);
      // As where the process stood still before it had sent anything.
      under.advance(6_000);
      await expect(appending).rejects.toMatchObject({ code: "unavailable" });
      expect(await log.append([draft("a", 2)])).toEqual([{ offset: 1, duplicate: false }]);
    });

    it("nothing where the stream is full, and goes on when there is room", async () => {
      const { log, prefix } = await opened();
      await tamper(node.url, (jsm) => jsm.streams.update(streamOf(prefix), { max_bytes: 10_000 }));
      const fill = async () => {
        for (;;) await log.append([draft("a", "x".repeat(1_000)), draft("b", "x".repeat(1_000))]);
      };
      await expect(fill()).rejects.toMatchObject({ code: "disk-full" });
      await expect(log.append([draft("a", "x".repeat(10_000))])).rejects.toMatchObject({ code: "disk-full" });
      // Where one of a few finds no room, those that were stored are not told that they were not.
      const [small, large] = await Promise.allSettled([
        log.append([draft("a", "")]),
        log.append([draft("a", "x".repeat(10_000))]),
      ]);
      expect(large).toMatchObject({ reason: { code: "disk-full" } });
      expect(small.status === "rejected" || offsetOf(small.value[0]) === (await log.bounds()).newest).toBe(true);
      const { newest } = await log.bounds();
      await tamper(node.url, (jsm) => jsm.streams.update(streamOf(prefix), { max_bytes: -1 }));
      expect(await log.append([draft("a", 1)])).toEqual([{ offset: newest + 1, duplicate: false }]);
    });
  });

  describe("whose stream was tampered with", () => {
    it("begins anew where it was deleted, under a new epoch (G2)", async () => {
      const { log, prefix, renewed, under } = await opened();
      await log.append([draft("a", 1), draft("a", 2)]);
      const before = epochOf(log.lineage);
      await tamper(node.url, (jsm) => jsm.streams.delete(streamOf(prefix)));
      await expect(log.bounds()).rejects.toMatchObject({ code: "unavailable" });
      expect(await renewed.reach(1)).toEqual(["default"]);
      await expect(log.append([draft("a", 3)])).rejects.toMatchObject({ code: "unavailable" });
      const again = await (await under.another()).open(policy);
      expect(epochOf(again.lineage)).not.toBe(before);
      expect(await again.append([draft("a", 4)])).toEqual([{ offset: 1, duplicate: false }]);
      const place = (offset: number) =>
        locate(
          again.lineage,
          { oldest: 1 as Offset, newest: 1 as Offset },
          {
            epoch: before,
            offset: offset as Offset,
          },
        );
      expect(place(1)).toEqual({ offset: 0, gap: { from: 0, to: null, reason: "epoch" } });
      expect(renewed.items).toEqual(["default"]);
    });

    it("begins a new era where it lost its end (G2)", async () => {
      const { log, prefix, renewed, under } = await opened();
      await log.append([draft("a", 1), draft("a", 2), draft("a", 3)]);
      const before = epochOf(log.lineage);
      await tamper(node.url, async (jsm) => {
        const { config } = await jsm.streams.info(streamOf(prefix));
        await jsm.streams.delete(config.name);
        await jsm.streams.add(config);
        await jsm.jetstream().publish(`${prefix}.log.default._.c.a`, '"time":1795400010000,"data":1}');
      });
      await expect(log.bounds()).rejects.toMatchObject({ code: "unavailable" });
      await renewed.reach(1);
      const again = await (await under.another()).open(policy);
      expect(again.lineage.map(({ first }) => first)).toEqual([1, 2]);
      const bounds = await again.bounds();
      const gapAt = (offset: number) => locate(again.lineage, bounds, { epoch: before, offset: offset as Offset }).gap;
      expect([gapAt(1), gapAt(3)]).toEqual([undefined, { from: 1, to: null, reason: "epoch" }]);
    });

    it("reports all that somebody else removed as a gap (G5)", async () => {
      const { log, prefix } = await opened();
      await log.append([draft("a", 1), draft("b", 2), draft("a", 3)]);
      await tamper(node.url, (jsm) => jsm.streams.purge(streamOf(prefix), { seq: 3 }));
      const page = await log.read("never" as Pattern, 0 as Offset, plenty);
      expect(page.gap).toEqual({ from: 0, to: 2, reason: "retention" });
      expect(dataOf(await log.read("a" as Pattern, 2 as Offset, plenty))).toEqual([3]);
    });

    it("goes on behind a message that somebody else took out of its middle", async () => {
      const { log, prefix } = await opened();
      await log.append([draft("a", 1), draft("a", 2), draft("a", 3)]);
      await tamper(node.url, (jsm) => jsm.streams.deleteMessage(streamOf(prefix), 2));
      expect(dataOf(await log.read(all, 0 as Offset, plenty))).toEqual([1, 3]);
      const stop = new AbortController();
      const seen: unknown[] = [];
      for await (const batch of log.follow(0 as Offset, stop.signal)) {
        seen.push(...dataOf(batch));
        if (batch.through === 3) stop.abort();
      }
      expect(seen).toEqual([1, 3]);
    });

    it("still knows the last number of a producer whose messages were removed (G7)", async () => {
      const { log } = await opened({ retention: { ageMs: undefined, bytes: 100_000 } });
      await log.append([bySomeone(1, 0), bySomeone(2, 1)]);
      while ((await log.bounds()).oldest < 3) {
        await log.append(Array.from({ length: 20 }, () => draft("busy", "x".repeat(1_000))));
      }
      expect(await log.lastNumber("p")).toBe(2);
      expect(await log.append([bySomeone(2, 1)])).toEqual([{ offset: 2, duplicate: true }]);
      const [next] = await log.append([bySomeone(3, 2)]);
      expect(offsetOf(next)).toBe((await log.bounds()).newest);
    });
  });

  describe("goes on", () => {
    it("after its server was killed: what was acknowledged is there, and followed without a seam (G1, G11, G13)", async () => {
      const own = await startNats();
      const under = await open(own.url, freshPrefix());
      const log = await under.engine.open(policy);
      const stop = new AbortController();
      const seen = new Collected<unknown>();
      const following = (async () => {
        for await (const batch of log.follow(0 as Offset, stop.signal)) for (const one of dataOf(batch)) seen.add(one);
      })();
      const append = async (from: number) => {
        for (let i = from; i < from + 20; i++) expect(offsetOf((await log.append([draft("a", i)]))[0])).toBe(i + 1);
      };
      await append(0);
      await seen.reach(20);
      await own.kill();
      await expect(log.append([draft("a", "lost")])).rejects.toMatchObject({ code: "unavailable" });
      expect(under.engine.health().writable).toBe(false);
      await own.start();
      await own.ready();
      for (;;) {
        if (
          await log.bounds().then(
            () => under.engine.health().writable,
            () => false,
          )
        )
          break;
      }
      await append(20);
      expect(await seen.reach(40)).toEqual(Array.from({ length: 40 }, (_, i) => i));
      stop.abort();
      await following;
    });
  });

  describe("is refused", () => {
    const refusal = async (change: Record<string, unknown>, replicas = 1): Promise<string> => {
      const prefix = freshPrefix();
      await tamper(node.url, (jsm) =>
        jsm.streams.add({
          name: streamOf(prefix),
          subjects: [`${prefix}.log.default.>`],
          storage: StorageType.File,
          allow_direct: true,
          allow_atomic: true,
          metadata: { "dogear.epoch": "e" },
          ...change,
        }),
      );
      const { engine } = await open(node.url, prefix, { settings: { replicas } });
      return engine.open(policy).then(
        () => "opened",
        (error: Error) => error.message,
      );
    };

    it("where its stream is not what it must be, saying which and what to do", async () => {
      expect(await refusal({})).toBe("opened");
      expect(await refusal({ metadata: {} })).toMatch(/-log-default is not Dogear's.*prefix/);
      expect(await refusal({ subjects: [`${freshPrefix()}.>`] })).toMatch(/-log-default has other subjects/);
      expect(await refusal({ storage: StorageType.Memory })).toMatch(/-log-default has storage memory/);
      expect(await refusal({ allow_direct: false })).toMatch(/allow_direct false.*nats stream edit .*--allow-direct/);
      expect(await refusal({ allow_atomic: false })).toMatch(/allow_atomic false.*nats stream edit .*--allow-batch/);
    });

    it("where the server is too old, saying what is needed and found", async () => {
      const old = createServer((socket) => {
        const info = {
          server_id: "old",
          version: "2.11.9",
          proto: 1,
          max_payload: 1_048_576,
          headers: true,
          jetstream: true,
        };
        socket.write(`INFO ${JSON.stringify(info)}\r\n`);
        socket.on("data", (bytes) => bytes.includes("PING") && socket.write("PONG\r\n"));
        socket.on("error", () => {});
      });
      await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
      const { port } = old.address() as { port: number };
      await expect(open(`nats://127.0.0.1:${port}`, freshPrefix())).rejects.toThrow(
        /needs nats-server 2\.12\.0.* is 2\.11\.9/,
      );
      await new Promise((resolve) => old.close(resolve));
    });

    it("where nobody listens, saying where", async () => {
      await expect(open("nats://127.0.0.1:1", freshPrefix())).rejects.toThrow(
        /does not answer at nats:\/\/127\.0\.0\.1:1/,
      );
    });
  });

  it("is as durable as the disk where its server says that it flushes always (G14)", async () => {
    const flushing = await startNats({ syncAlways: true });
    const durabilityWith = async (...monitors: string[]) => {
      const { engine } = await open(flushing.url, freshPrefix(), { settings: { monitors } });
      return (await engine.open(policy)).durability;
    };
    expect(await durabilityWith(flushing.monitor)).toBe("disk");
    expect(await durabilityWith()).toBe("process");
    expect(await durabilityWith(flushing.monitor, node.monitor)).toBe("process");
    expect(await durabilityWith(flushing.monitor, "http://127.0.0.1:1")).toBe("process");
  });
});
