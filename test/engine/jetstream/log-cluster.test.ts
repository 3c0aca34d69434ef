/** A log on three servers, one of which is lost now and then. */
import type { Offset } from "@dogear/shared";
import { beforeAll, describe, expect, test } from "vitest";
import type { Log } from "../../../server/src/engine/engine.ts";
import { all, draft, parsed, plenty, policy } from "../../contract/support.ts";
import { type NatsCluster, natsServer, startNatsCluster } from "../../support/nats.ts";
import { whenDone } from "../../support/temp.ts";
import { until } from "../../support/waiting.ts";
import { engines, freshPrefix } from "./support.ts";

describe.skipIf(natsServer === undefined)("a log on three servers", () => {
  let servers: NatsCluster;
  beforeAll(async () => {
    servers = await startNatsCluster(3);
  }, 60_000);
  const { open } = engines();
  const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

  /** Appends numbers as a producer does who never gives up, until told to stop. */
  async function produce(logs: readonly Log[], producer: string, isOver: () => boolean): Promise<Map<number, number>> {
    const acknowledged = new Map<number, number>();
    let number = 1;
    for (let tries = 0; !isOver() || acknowledged.size < number - 1; tries++) {
      // Each try goes to the other hub.
      const log = logs[tries % logs.length] as Log;
      const numbered = draft(`c.${producer}`, `${producer} ${number}`, {
        by: "producer",
        producer,
        number,
        previous: number - 1,
      });
      const [answer] = await log.append([numbered]).catch(() => []);
      if (answer === undefined || "refused" in answer) await turn();
      else acknowledged.set(number++, answer.offset);
    }
    return acknowledged;
  }

  test("keeps every acknowledged message once and in order while leaders are killed (G1, G6, G7, G11, G13)", async () => {
    const prefix = freshPrefix();
    const under = await open(servers.url, prefix, { settings: { servers: servers.url.split(","), replicas: 3 } });
    const log = await under.engine.open(policy);
    expect(log.durability).toBe("quorum");
    const logs = [log, await (await under.another()).open(policy)];
    const followed: { offset: number; data: unknown }[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for (let at = 0 as Offset; !stop.signal.aborted; ) {
        try {
          for await (const batch of log.follow(at, stop.signal)) {
            expect(batch.after).toBe(at);
            at = batch.through;
            for (const { offset, data } of parsed(batch.messages)) followed.push({ offset, data });
          }
        } catch (error) {
          expect(error).toMatchObject({ code: "unavailable" });
          await turn();
        }
      }
    })();
    let isOver = false;
    const producing = ["p", "q", "r"].map((producer) => produce(logs, producer, () => isOver));
    const followMore = async () => {
      const { length } = followed;
      await until(async () => followed.length >= length + 50, "50 more that are followed");
    };
    whenDone(() => {
      isOver = true;
      stop.abort();
    });
    for (let round = 0; round < 2; round++) {
      await followMore();
      const leader = await servers.leaderOf(`${prefix}-log-default`);
      await leader.kill();
      await followMore();
      await leader.start();
      await servers.ready();
    }
    isOver = true;
    const acknowledged = await Promise.all(producing);
    const { newest } = await until(() => log.bounds().catch(() => undefined), "a leader");
    await until(async () => followed.at(-1)?.offset === newest, "all of it followed");
    stop.abort();
    await following;

    const stored: { offset: number; data: unknown }[] = [];
    for (let at = 0 as Offset; at < newest; ) {
      const page = await log.read(all, at, plenty);
      stored.push(...parsed(page.messages).map(({ offset, data }) => ({ offset, data })));
      at = page.through;
    }
    expect(followed).toEqual(stored);
    for (const [i, producer] of ["p", "q", "r"].entries()) {
      const own = stored.filter(({ data }) => `${data}`.startsWith(`${producer} `));
      const offsets = new Map(own.map(({ offset, data }) => [Number(`${data}`.slice(2)), offset]));
      expect([...offsets]).toEqual([...(acknowledged[i] as Map<number, number>)]);
      expect(own.length).toBe(offsets.size);
    }
  }, 120_000);
});
