/**
 * Every workload once more, small: `npm run bench -- --histories [--only …] [--systems dogear,dogear-jetstream]`. What each
 * client did and saw is held to what the log holds in the end, by the checker of the crash tests and the simulation.
 */
import { connect } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import type { Pattern } from "@dogear/shared";
import { check } from "../checker/checker.ts";
import { Notebook } from "../soak/notebook.ts";
import { newFolder, remove, rowsOf } from "./bench.ts";
import { contentOf, recordedClient } from "./recorded.ts";
import type { Running, System } from "./system.ts";
import type { Workload } from "./workloads/workload.ts";

/** A 250th, and enough that there is something to mix up. */
const small = (count: number): number => Math.max(Math.min(count, 4), Math.ceil(count / 250));

/** Returns how many promises were broken. */
export async function checkHistories(
  plan: { readonly workloads: readonly Workload[]; readonly systems: readonly System[] },
  say: (what: string) => void,
): Promise<number> {
  let broken = 0;
  for (const { workload, system } of rowsOf(plan)) {
    const violations = await checkOne(workload, system, say);
    for (const violation of violations) say(`  ${violation}`);
    broken += violations.length;
  }
  return broken;
}

async function checkOne(workload: Workload, system: System, say: (what: string) => void): Promise<readonly string[]> {
  const folder = newFolder();
  const notebook = new Notebook();
  const begin = async (): Promise<Running> => {
    const running = await system.start(folder);
    return { ...running, client: recordedClient(running.url, notebook) };
  };
  const stage = {
    ...{ system, full: false, size: small, running: await begin() },
    async restart(between: () => void) {
      await stage.running.stop();
      between();
      stage.running = await begin();
    },
  };
  try {
    await workload.run(stage);
    await readAll(stage.running.url, notebook);
    const history = notebook.take();
    const truth = system.durability === "flushed" ? "disk" : "process";
    const groups = new Set(history.flatMap((event) => (event.op === "lease" ? [event.group] : [])));
    const violations = check(history, {
      namespaces: ["default"],
      finishers: [],
      durability: { default: truth },
      groups: Object.fromEntries([...groups].map((group) => [group, { pattern: ">" as Pattern, finished: false }])),
    });
    say(`${workload.name} on ${system.name}: ${history.length} events, ${violations.length} violations`);
    return violations.map(String);
  } catch (error) {
    return [`${workload.name} on ${system.name}: ${error instanceof Error ? error.message : error}`];
  } finally {
    await stage.running.stop();
    remove(folder);
  }
}

/** What the log holds in the end, read by somebody new. */
async function readAll(url: string, notebook: Notebook): Promise<void> {
  const notes = notebook.of("reader");
  const dogear = connect(url);
  const namespaces = await admin(dogear).namespaces();
  const newest = namespaces.find(({ namespace }) => namespace === "default")?.newest ?? 0;
  if (newest > 0) {
    for await (const { channel, data, epoch, offset, key } of dogear.subscribe(">", { from: "earliest" })) {
      notes.write({ op: "read", kind: "ok", epoch, offset, key, ...contentOf(channel, data) });
      if (offset >= newest) break;
    }
  }
  await dogear.close();
}
