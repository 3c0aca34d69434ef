/**
 * What `tsc --build` leaves to do: the client as one file for browsers, the demo's page, the programs that live among the
 * tests, and a command that can be started by its name.
 */

import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

await Promise.all([bundleClient(), bundlePage(), bundlePrograms(), makeCommandExecutable()]);

/**
 * The client as one file, and beside it what it loads only when asked for. Two builds, because splitting one would put
 * what both need into a third file that everybody loads, which together are larger than the first alone.
 */
async function bundleClient() {
  const annex = { path: "./dogear.annex.min.js", external: true };
  const setApart = {
    name: "set the annex apart",
    setup: ({ onResolve }) =>
      onResolve({ filter: /\/annex\.ts$/ }, ({ kind }) => (kind === "dynamic-import" ? annex : null)),
  };
  await Promise.all([
    bundle("client/src/index.ts", "client/dist/dogear.min.js", { plugins: [setApart] }),
    bundle("client/src/annex.ts", "client/dist/dogear.annex.min.js"),
    writeFile(path("client/dist/dogear.min.d.ts"), 'export * from "./index.js";\n'),
  ]);
}

async function bundlePage() {
  const source = path("server/src/demo/page/");
  const target = path("server/dist/demo/page/");
  if (!existsSync(`${source}page.ts`)) return;
  await mkdir(target, { recursive: true });
  const assets = (await readdir(source)).filter((file) => /\.(html|css)$/.test(file));
  await Promise.all([
    bundle("server/src/demo/page/page.ts", "server/dist/demo/page/page.js"),
    cp(fileURLToPath(import.meta.resolve("uplot/dist/uPlot.min.css")), `${target}uPlot.min.css`),
    ...assets.map((file) => cp(source + file, target + file)),
  ]);
}

/** They reach into the sources, as tests do, so that the compiler alone cannot place them. */
async function bundlePrograms() {
  const program = { platform: "node", packages: "external", alias: {}, minify: false };
  const programs = ["bench/main", "bench/growth", "soak/main", "soak/hub", "simulation/main", "prove/main"];
  const there = programs.filter((name) => existsSync(path(`test/${name}.ts`)));
  await Promise.all(there.map((name) => bundle(`test/${name}.ts`, `test/dist/${name}.js`, program)));
}

/** npm has left the command's name out: when it installed there was nothing to name yet. */
async function makeCommandExecutable() {
  const command = path("server/dist/main.js");
  if (!existsSync(command)) return;
  await chmod(command, 0o755);
  const name = path("node_modules/.bin/dogear");
  if (existsSync(path("node_modules/.bin")) && !existsSync(name)) await symlink("../@dogear/server/dist/main.js", name);
}

/** One ES module, for browsers unless told otherwise, from the sources of our own packages. */
function bundle(from, to, options = {}) {
  return build({
    entryPoints: [path(from)],
    outfile: path(to),
    bundle: true,
    minify: true,
    sourcemap: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    alias: { "@dogear/shared": path("shared/src/index.ts"), "@dogear/client": path("client/src/index.ts") },
    logLevel: "warning",
    ...options,
  });
}
