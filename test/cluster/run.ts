/**
 * One run: a site and its clients, faults one after the other, and in the end the checker. Starting takes seconds, so a run
 * has several faults; `CRASH_SEED` repeats its choices.
 */
import { admin } from "@dogear/client/admin";
import { expect, onTestFailed, test } from "vitest";
import { explain } from "../checker/checker.ts";
import { Cast } from "../crash/cast.ts";
import { verdictOn } from "../crash/verdict.ts";
import { figure } from "../support/figures.ts";
import { clientOf } from "../support/hub.ts";
import { natsServer } from "../support/nats.ts";
import { seeded } from "../support/seeded.ts";
import { ClusterSite } from "./site.ts";

export interface Run {
  readonly site: ClusterSite;
  readonly cast: Cast;
  /** Resolves when publishing, delivery and the group go on, and nobody helped. */
  goesOn(): Promise<void>;
}

export interface RunOptions {
  readonly hubs: number;
  readonly faults: (run: Run) => Promise<void>;
}

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** Longer than a hub or a node may be silent before the others do without it. */
export const freezeMs = 7_000;

/** By the clock of histories. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** It takes less than a minute; on a busy machine, more. */
const timeoutMs = 300_000;

/** A test of what a cluster's clients see while it suffers; skipped where there is no nats-server. */
export function clusterTest(name: string, { hubs, faults }: RunOptions): void {
  test.skipIf(natsServer === undefined)(
    name,
    async () => {
      onTestFailed(() => console.error(`Repeat it with CRASH_SEED=${seed}`));
      const random = seeded(seed);
      const site = await ClusterSite.start({ hubs, random });
      const stated = (await admin(clientOf(site.url)).namespaces()).map(({ durability }) => durability);
      expect(new Set(stated)).toEqual(new Set(["quorum"]));
      const cast = await Cast.start({
        url: site.url,
        random,
        publishers: 2,
        inFlight: 10,
        restMsMax: 200,
        delayMsMax: 2_000,
      });
      const goesOn = async () => {
        await Promise.all([cast.progressed(), cast.worked()]);
        site.balancer.move();
      };
      await goesOn();
      await faults({ site, cast, goesOn });
      await cast.finish();
      const { violations, summary } = await verdictOn(cast, "quorum");
      console.log(`${name}: ${summary}`);
      figure("runs of a cluster", 1);
      expect(explain(violations)).toBe("");
      expect([...cast.complaints, ...site.complaints]).toEqual([]);
    },
    timeoutMs,
  );
}
