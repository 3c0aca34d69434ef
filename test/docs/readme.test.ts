/**
 * Runs README.md as its reader would: every block, in order, in an empty project that has the packed packages.
 *
 *     ```ts     is type-checked and run
 *     ```sh     is run where a line starts with `npx dogear` or `curl`; elsewhere it may only say how to start and test a clone
 *     ```json   must parse
 *
 * `// → text` (`# → text` for a shell) in a block is what it prints. A block that has one is ended when it has printed
 * them all; any other must end by itself, and well. What is on port 7600 for the reader is the test's own hub here.
 * `<!-- not run: reason -->` before a block leaves it out.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transform } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { listening } from "../support/hub-process.ts";
import { ChildProcess } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { temporaryFolder } from "../support/temp.ts";

interface Block {
  readonly line: number;
  readonly language: string;
  readonly code: string;
  readonly notRun: string | undefined;
}

const readme = `${repository}README.md`;
const blocks = existsSync(readme) ? blocksIn(readFileSync(readme, "utf8")) : [];

/** What a clone is started and tested with. */
const setUp = ["npm ci && npm start", "npm ci && npm test"];

/** Starts what npx would, which takes longer to find it than that takes to run. The test's own hub is started by npx. */
const npx = `npx() { command="$1"; shift; "node_modules/.bin/$command" "$@"; }`;

let folder: string;
let port: number;
let typeErrors: string;

beforeAll(async () => {
  folder = await installedProject();
  const hub = new ChildProcess("npx", ["dogear", "serve", "--port", "0", "--data", temporaryFolder()], { cwd: folder });
  [{ port }, typeErrors] = await Promise.all([listening(hub), typeCheck()]);
}, 120_000);

describe("README.md", { timeout: 120_000 }, () => {
  test("shows code", () => {
    expect(blocks.length).toBeGreaterThan(0);
  });

  for (const block of blocks.filter(({ notRun }) => notRun === undefined)) {
    test(`line ${block.line}: ${block.language}`, async () => {
      if (block.language === "ts") await runTypeScript(block);
      else if (block.language === "sh") await runShell(block);
      else if (block.language === "json") JSON.parse(block.code);
      else expect.fail(`Nothing here can run ${block.language}: put <!-- not run: reason --> before it.`);
    });
  }
});

function blocksIn(markdown: string): Block[] {
  const fenced = /(?:<!-- not run: (.+?) -->\s*)?^```(\w*)\n(.*?)^```$/gms;
  return Array.from(markdown.matchAll(fenced), ({ index, 0: all, 1: notRun, 2: language = "", 3: code = "" }) => ({
    line: markdown.slice(0, index + all.indexOf("```")).split("\n").length,
    language,
    code,
    notRun,
  }));
}

/** An empty project with the three packages as they would be published. */
async function installedProject(): Promise<string> {
  const [packages, project] = [temporaryFolder(), temporaryFolder()];
  const workspaces = ["shared", "client", "server"].map((name) => `--workspace=${name}`);
  await succeed("npm", ["pack", ...workspaces, "--pack-destination", packages], repository);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const tarballs = readdirSync(packages).map((name) => join(packages, name));
  await succeed("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs], project);
  return project;
}

/** What the compiler has to say about all blocks, one program each. */
async function typeCheck(): Promise<string> {
  const typescript = blocks.filter(({ language, notRun }) => language === "ts" && notRun === undefined);
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: "ES2023",
    module: "NodeNext",
    moduleDetection: "force",
    lib: ["ES2023", "DOM", "ESNext.Disposable"],
    typeRoots: [join(repository, "node_modules/@types")],
    types: ["node"],
  };
  const files = typescript.map(fileOf);
  if (files.length === 0) return "";
  for (const block of typescript) writeFileSync(join(folder, fileOf(block)), block.code);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const compiler = new ChildProcess("node", [join(repository, "node_modules/typescript/bin/tsc")], { cwd: folder });
  await compiler.exited;
  return compiler.stdout;
}

function fileOf(block: Block): string {
  return `readme-${block.line}.ts`;
}

async function runTypeScript(block: Block): Promise<void> {
  const elsewhere = /^(?!readme-\d+\.ts)\S.*$/gm;
  const own = new RegExp(`^${fileOf(block)}.*$(\\n^ .*$)*`, "gm");
  expect([...(typeErrors.match(elsewhere) ?? []), ...(typeErrors.match(own) ?? [])]).toEqual([]);

  const { code } = await transform(here(block.code), { loader: "ts", format: "esm", target: "node20" });
  const file = `readme-${block.line}.js`;
  writeFileSync(join(folder, file), code);
  await finish(block, new ChildProcess("node", [file], { cwd: folder }));
}

async function runShell(block: Block): Promise<void> {
  if (!/^(npx dogear|curl) /m.test(block.code)) return checkSetUp(block);
  // Another hub besides the test's own takes any free port.
  const code = here(block.code).replaceAll(/npx dogear serve\b(?!.*--port)/g, "$& --port 0");
  await finish(block, new ChildProcess("sh", ["-ec", `${npx}\n${code}`], { cwd: folder }));
}

function checkSetUp(block: Block): void {
  const { scripts } = JSON.parse(readFileSync(`${repository}package.json`, "utf8"));
  for (const line of block.code.trim().split("\n")) {
    const command = line.replace(/#.*/, "").trim();
    expect(["", ...setUp]).toContain(command);
    if (command !== "") expect(scripts).toHaveProperty(command.split(" ").at(-1) as string);
  }
}

/** Waits for what the block says it prints, or else for its end. */
async function finish(block: Block, running: ChildProcess): Promise<void> {
  const outputs = Array.from(block.code.matchAll(/(?:\/\/|#) → (.+)$/gm), ([, text]) => (text as string).trim());
  for (const text of outputs) await running.untilLine(new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")));
  if (outputs.length > 0) await running.kill();
  else expect(await running.exited, running.stdout + running.stderr).toMatchObject({ code: 0 });
}

/** The code with the address of the test's hub for the one a reader's has. */
function here(code: string): string {
  return code.replaceAll("127.0.0.1:7600", `127.0.0.1:${port}`);
}

async function succeed(command: string, args: readonly string[], cwd: string): Promise<void> {
  const running = new ChildProcess(command, args, { cwd });
  const { code } = await running.exited;
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed.\n${running.stdout}${running.stderr}`);
}
