/** The part of the engine contract about what retention removes, and who is told before. */
import type { Offset, Pattern } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Log } from "../../server/src/engine/engine.ts";
import { Door } from "../support/waiting.ts";
import { all, dataOf, draft, type Fixture, plenty } from "./support.ts";

const small = { retention: { ageMs: undefined, bytes: 500_000 } };

/** Appends until something has happened, which a log that is overfull brings about. */
async function fillUntil(happened: () => boolean | Promise<boolean>, log: Log): Promise<void> {
  const text = "x".repeat(2_000);
  for (let i = 0; !(await happened()); i++) {
    if (i === 200) throw new Error("It does not happen.");
    await log.append(Array.from({ length: 20 }, () => draft("busy", text)));
  }
}

/** Appends until retention has removed the oldest message. */
async function overflow(log: Log): Promise<void> {
  await fillUntil(async () => (await log.bounds()).oldest > 1, log);
}

export function describeRetention({ opened, reopened, current }: Fixture, keeps: boolean): void {
  const whereKept = keeps ? it : () => {};

  describe("retention", () => {
    it("removes the oldest messages by size, and a reader from before gets an exact gap (G5)", async () => {
      const log = await opened(small);
      await overflow(log);
      const { oldest, newest } = await log.bounds();
      const page = await log.read("busy" as Pattern, 0 as Offset, plenty);
      expect(page.gap).toEqual({ from: 0, to: oldest - 1, reason: "retention" });
      expect(page.messages.offsets[0]).toBe(oldest);
      expect(page.through).toBe(newest);
      expect((await log.read("busy" as Pattern, (oldest - 1) as Offset, plenty)).gap).toBeUndefined();
    });

    it("makes no gap for a quiet channel of which nothing was removed since", async () => {
      const log = await opened(small);
      await log.append([draft("quiet", 1), draft("quieter", 1)]);
      await overflow(log);
      expect((await log.read("quiet" as Pattern, 1 as Offset, plenty)).gap).toBeUndefined();
      expect((await log.read("quiet" as Pattern, 0 as Offset, plenty)).gap).toMatchObject({ from: 0, to: 1 });
      expect((await log.read("quiet*".replace("*", "er") as Pattern, 0 as Offset, plenty)).gap).toMatchObject({
        to: 2,
      });
      expect((await log.read("never" as Pattern, 0 as Offset, plenty)).gap).toBeUndefined();
    });

    it("removes by age", async () => {
      const log = await opened({ retention: { ageMs: 10_000, bytes: undefined } });
      await log.append([draft("a", 1)]);
      for (let i = 0; (await log.bounds()).oldest === 1; i++) {
        if (i === 200) throw new Error("retention removed nothing");
        current().advance(2_000);
        await log.append([draft("a", i)]);
      }
      expect((await log.read("a" as Pattern, 0 as Offset, plenty)).gap).toMatchObject({
        from: 0,
        reason: "retention",
      });
    });

    whereKept("remembers what was removed after a restart", async () => {
      const first = await opened(small);
      await first.append([draft("quiet", 1)]);
      await overflow(first);
      const log = await reopened(small);
      const { oldest } = await log.bounds();
      expect(oldest).toBeGreaterThan(1);
      expect((await log.read("quiet" as Pattern, 0 as Offset, plenty)).gap).toMatchObject({ from: 0, to: 1 });
      expect((await log.read("quiet" as Pattern, 1 as Offset, plenty)).gap).toBeUndefined();
      expect((await log.read("busy" as Pattern, 0 as Offset, plenty)).gap).toMatchObject({ to: oldest - 1 });
    });
  });

  describe("before removal", () => {
    const from = async (log: Log) => log.read(all, 0 as Offset, plenty);

    it("tells the listener first, to whom all is still there and who may use the log", async () => {
      const log = await opened(small);
      const told: unknown[] = [];
      log.beforeRemoval(async (through) => {
        const { gap, messages } = await log.read(all, 0 as Offset, plenty);
        const { oldest } = await log.bounds();
        const kept = (await log.count(all, 0 as Offset)) >= through - oldest + 1;
        told.push({ gap, first: messages.offsets[0] === oldest, kept });
        await log.append([draft("told", through)]);
      });
      await overflow(log);
      expect(told[0]).toEqual({ gap: undefined, first: true, kept: true });
      const page = await log.read("told" as Pattern, 0 as Offset, plenty);
      expect(Math.max(...(dataOf(page) as number[]))).toBeGreaterThanOrEqual((await log.bounds()).oldest - 1);
    });

    it("removes nothing until the listener is done", async () => {
      const log = await opened(small);
      const door = new Door();
      log.beforeRemoval(() => door.pass());
      await fillUntil(() => door.arrivals.items.length > 0, log);
      const { newest } = await log.bounds();
      await fillUntil(async () => (await log.bounds()).newest > newest + 100, log);
      expect(await log.bounds()).toMatchObject({ oldest: 1 });
      expect((await from(log)).gap).toBeUndefined();
      expect(door.arrivals.items.length).toBe(1);
      door.open();
      await overflow(log);
    });

    it("puts a removal off where the listener fails, and tells it again", async () => {
      const log = await opened(small);
      let failing = true;
      let failures = 0;
      let told = 0;
      log.beforeRemoval(async () => {
        told++;
        if (!failing) return;
        failures++;
        throw new Error("not now");
      });
      await fillUntil(() => failures > 0, log);
      const { newest } = await log.bounds();
      await fillUntil(async () => (await log.bounds()).newest > newest + 100, log);
      expect((await from(log)).messages.offsets[0]).toBe(1);
      failing = false;
      current().advance(1_000);
      await overflow(log);
      expect(told).toBeGreaterThan(failures);
    });

    it("waits for the listener when it closes", async () => {
      const log = await opened(small);
      const door = new Door();
      let answer: unknown;
      log.beforeRemoval(async () => {
        await door.pass();
        answer = (await log.append([draft("late", 1)]))[0];
      });
      await fillUntil(() => door.arrivals.items.length > 0, log);
      const reopening = reopened(small);
      door.open();
      await reopening;
      expect(answer).toMatchObject({ duplicate: false });
    });
  });
}
