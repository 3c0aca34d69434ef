/** A copy of the sources that a mutant changes, beside the packages that are installed. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { program } from "../support/machine.ts";
import { ChildProcess } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { temporaryFolder } from "../support/temp.ts";

const packages = ["shared", "client", "server", "test"];

/** What applies patches, also where there is no repository. */
export const git: string | undefined = program("git");

export class Scratch {
  readonly #folder = temporaryFolder();

  /** Applies a patch; rejects where it does not fit the sources any more. */
  static async with(patch: string): Promise<Scratch> {
    const scratch = new Scratch();
    const applying = new ChildProcess(git as string, ["apply", patch], { cwd: scratch.#folder });
    const { code } = await applying.exited;
    if (code !== 0) throw new Error(`It does not apply: ${applying.stderr}`);
    return scratch;
  }

  private constructor() {
    const isSource = (path: string) => !/\/(dist|node_modules)$/.test(path);
    for (const name of [...packages, "vitest.config.ts", "package.json", "tsconfig.json", "tsconfig.base.json"])
      cpSync(join(repository, name), join(this.#folder, name), { recursive: true, filter: isSource });
    const installed = join(repository, "node_modules");
    const modules = join(this.#folder, "node_modules");
    mkdirSync(join(modules, "@dogear"), { recursive: true });
    for (const name of readdirSync(installed))
      if (name !== "@dogear") symlinkSync(join(installed, name), join(modules, name));
    for (const name of packages) symlinkSync(join(this.#folder, name), join(modules, "@dogear", name));
  }

  /** Simulates until a promise is broken, or for so many milliseconds; resolves with what it said, and how it ended. */
  async simulate(first: number, ms: number): Promise<{ readonly found: boolean; readonly said: string }> {
    await this.#bundle("test/simulation/main.ts", "test/dist/simulation.js");
    const args = ["test/dist/simulation.js", "--until-broken", "--first", `${first}`, "--minutes", `${ms / 60_000}`];
    const { code, said } = await this.#run(process.execPath, args);
    // A promise has to be broken, and not the program.
    return { found: code === 1 && /^Seed \d+ \(/m.test(said), said };
  }

  /** Runs a file of tests; resolves with what it said, and whether it failed. */
  async test(file: string): Promise<{ readonly found: boolean; readonly said: string }> {
    for (const name of ["main", "index"]) await this.#bundle(`server/src/${name}.ts`, `server/dist/${name}.js`);
    const vitest = join(repository, "node_modules/vitest/vitest.mjs");
    const { code, said } = await this.#run(process.execPath, [vitest, "run", "--project", "test", file]);
    // A test has to have failed, not the attempt to run it.
    return { found: code === 1 && /AssertionError/.test(said), said };
  }

  async #bundle(from: string, to: string): Promise<void> {
    const own = (name: string, path: string) => [`@dogear/${name}`, join(this.#folder, path)];
    await build({
      entryPoints: [join(this.#folder, from)],
      outfile: join(this.#folder, to),
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      alias: Object.fromEntries([
        own("shared/envelopes", "shared/src/envelopes.ts"),
        own("shared", "shared/src/index.ts"),
        own("client/admin", "client/src/admin.ts"),
        own("client", "client/src/node.ts"),
      ]),
      logLevel: "silent",
    });
  }

  async #run(
    command: string,
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly said: string }> {
    const running = new ChildProcess(command, args, { cwd: this.#folder, env: { ...process.env, CI: "" } });
    const { code } = await running.exited;
    return { code, said: running.stdout + running.stderr };
  }
}
