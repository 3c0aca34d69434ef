/**
 * Bits flip, pages turn to zeros, ends are cut off, in copies of what a hub left behind. Another hub is started on each:
 * it may refuse, saying why, or serve. What it serves is what was published, and what it cannot give any more it says. It
 * never removes anything.
 *
 * `DISK_DAMAGES` makes it longer, `DISK_SEED` repeats a run's choices.
 */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, onTestFailed, test } from "vitest";
import { figure } from "../support/figures.ts";
import { seeded } from "../support/seeded.ts";
import { temporaryFolder } from "../support/temp.ts";
import { damage } from "./damage.ts";
import { type Left, leave, serve, wasEndedByLmdb, wrongWith } from "./left.ts";

const count = Number(process.env.DISK_DAMAGES ?? 6);
const seed = Number(process.env.DISK_SEED ?? Date.now() % 1_000_000);

let left: Left;
beforeAll(async () => {
  left = await leave();
});

test(
  `what a hub serves after ${count} damages is right, or it says what it lost (G1, G2, G4, G5)`,
  async () => {
    onTestFailed(() => console.error(`Repeat it with DISK_SEED=${seed}`));
    const random = seeded(seed);
    let [refused, ended] = [0, 0];
    for (let i = 1; i <= count; i++) {
      const data = join(temporaryFolder(), "data");
      cpSync(left.data, data, { recursive: true });
      const what = damage(data, random);
      const outcome = await serve(data);
      expect(wrongWith(outcome, left), what).toEqual([]);
      if (wasEndedByLmdb(outcome)) ended++;
      else if ("exit" in outcome) refused++;
      rmSync(data, { recursive: true });
    }
    figure("damages to data", count);
    figure("damages after which a hub refused to start", refused);
    figure("damages that LMDB ended the process for", ended);
  },
  60_000 + count * 10_000,
);
