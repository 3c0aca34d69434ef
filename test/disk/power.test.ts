/**
 * The power fails, again and again, under load. The hub's data is on a file system of its own: the hub is frozen, so that
 * no confirmation leaves it any more, all that was not flushed is taken away, and another hub starts as after a reboot.
 * Half of the cuts come at any moment, the others right before or after a call to the disk.
 *
 * `POWER_CUTS` makes it longer, `POWER_SEED` repeats a run's choices.
 */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { describe, expect, onTestFailed, test } from "vitest";
import { explain } from "../checker/violation.ts";
import { figure } from "../support/figures.ts";
import { hubOf, launchHub } from "../support/hub-process.ts";
import { freePorts } from "../support/ports.ts";
import type { ChildProcess } from "../support/process.ts";
import { seeded } from "../support/seeded.ts";
import { whenDone } from "../support/temp.ts";
import { until } from "../support/waiting.ts";
import { Clients } from "./clients.ts";
import { afterReboot, Image, imagePrograms } from "./image.ts";
import { shimLibrary, shimmed } from "./shim.ts";

const programs = imagePrograms();
const library = shimLibrary();
const cuts = Number(process.env.POWER_CUTS ?? 6);
const seed = Number(process.env.POWER_SEED ?? Date.now() % 1_000_000);

/** Small segments, so that the power also fails while one begins and another is removed. */
const config = { namespaces: { default: { retention: { bytes: 1_000_000 } } } };

describe.skipIf(programs === undefined || library === undefined)("loss of power", () => {
  test(
    `keeps its promises while the power fails ${cuts} times under load (G1 to G11, G13, G14)`,
    async () => {
      onTestFailed(() => console.error(`Repeat it with POWER_SEED=${seed}`));
      const random = seeded(seed);
      const site = await Site.prepare();
      for (let cut = 1; cut <= cuts; cut++) {
        const n = 1 + Math.floor(random() * 120);
        const when = random() < 0.5 ? "before" : "after";
        await site.liveAndLose(cut % 2 === 0 ? `stop-${when}:any:${n}` : undefined, 30 + random() * 300);
      }
      const { violations, acknowledged } = await site.settle();
      figure("power cuts", cuts);
      figure("publishes acknowledged between power cuts", acknowledged);
      expect(explain(violations)).toBe("");
    },
    60_000 + cuts * 5_000,
  );

  test("and a hub whose disk lies about its flushes is found out", async () => {
    const site = await Site.prepare();
    await site.liveAndLose("lie:flush:1", 300);
    const { violations } = await site.settle();
    expect(violations.flatMap(({ promises }) => promises)).toContain("G1");
  });
});

/** A machine with a disk, and the clients of the hub on it. */
class Site {
  readonly clients: Clients;
  readonly #image: Image;
  readonly #data: string;
  readonly #port: number;
  readonly #stop = new AbortController();
  readonly #load: Promise<void>;

  static async prepare(): Promise<Site> {
    const [port] = (await freePorts(1)) as [number];
    return new Site(port);
  }

  private constructor(port: number) {
    this.#image = new Image(programs as NonNullable<typeof programs>);
    this.#data = join(this.#image.folder, "data");
    this.#port = port;
    this.clients = new Clients(`ws://127.0.0.1:${port}`);
    // Before the clients are closed, after which publishing fails at once.
    whenDone(() => this.#stop.abort());
    this.#load = this.#publish();
  }

  /** One life of a hub, until the power fails: at the fault, or so long after somebody was served. */
  async liveAndLose(fault: string | undefined, afterMs: number): Promise<void> {
    const folder = this.#data;
    mkdirSync(folder, { recursive: true });
    const env = fault === undefined ? {} : shimmed(library as string, { folder, fault });
    const hub = launchHub({ data: this.#data, port: this.#port, config, by: afterReboot(), env });
    const served = this.clients.acknowledged;
    if (fault?.startsWith("stop-")) {
      await until(async () => isFrozen(hub), `a hub that was stopped by ${fault}`);
    } else {
      await hubOf(hub);
      await served.reach(served.items.length + 1);
      // Not a wait for anything: this moment is the fault.
      await after(afterMs);
      hub.signal("SIGSTOP");
      await until(async () => isFrozen(hub), "a frozen hub");
    }
    this.#image.cut();
    await hub.kill();
    await this.clients.replace();
    this.#image.restore();
  }

  /** The last life: all that waits is published, and everybody gets everything. */
  async settle(): Promise<{ violations: ReturnType<Clients["violations"]>; acknowledged: number }> {
    const hub = await hubOf(launchHub({ data: this.#data, port: this.#port, config, by: afterReboot() }));
    this.#stop.abort();
    await this.#load;
    await this.clients.finish();
    const violations = this.clients.violations();
    await this.clients.close();
    await hub.stop();
    return { violations, acknowledged: this.clients.acknowledged.items.length };
  }

  /** Now and then something large. */
  async #publish(): Promise<void> {
    for (let i = 1; !this.#stop.signal.aborted; i++) await this.clients.publish(20, i % 10 === 0 ? 20_000 : 100);
  }
}

/** Whether no thread of a process runs any more; one may wait for the disk, and will not come back from there. */
function isFrozen({ pid }: ChildProcess): boolean {
  const tasks = `/proc/${pid}/task`;
  const states = readdirSync(tasks).map((id) => readFileSync(join(tasks, id, "stat"), "utf8").split(") ")[1]?.[0]);
  return states.includes("T") && states.every((state) => state === "T" || state === "D");
}
