/** The programs of crash tests, built from the sources, beside the packages that they import as any user's would. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { repository } from "../support/sources.ts";
import { whenDone } from "../support/temp.ts";

/** Builds `test/crash/<name>.ts` of each name into a folder, which is gone when the test has ended. */
export async function buildScripts(...names: readonly string[]): Promise<string> {
  const dist = join(repository, "test/dist");
  mkdirSync(dist, { recursive: true });
  const outdir = mkdtempSync(join(dist, "crash-"));
  whenDone(() => rmSync(outdir, { recursive: true, force: true }));
  const entryPoints = names.map((name) => join(repository, `test/crash/${name}.ts`));
  await build({ entryPoints, outdir, bundle: true, platform: "node", format: "esm", packages: "external" });
  return outdir;
}
