/**
 * Holds the arrows: what may import what, where time and randomness come from, and what no source contains.
 *
 *     client ──▶ shared ◀── server          command, demo ──▶ client, server's index
 *
 *     in the server, downwards only:   socket  http  session  hub  codec  access  engine  runtime
 *
 * It reads the sources; it runs none of them.
 */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { readSources, type Source } from "./support/sources.ts";

/** The server's layers. A file imports its own layer and those after it. */
const layers = ["socket", "http", "session", "hub", "codec", "access", "engine", "runtime"];

/** They use the hub from outside, as its users do. */
const outside = ["command", "demo"];

/** They put the layers together, and no layer knows them. */
const roots = ["main", "index", "server", "config"];

/** Where each package with a field of its own is imported; nowhere else. */
const homes: Record<string, readonly string[]> = {
  ws: ["server/src/socket/", "client/src/node.ts", "client/src/transport"],
  lmdb: ["server/src/engine/lmdb/"],
  "@nats-io/transport-node": ["server/src/engine/jetstream/"],
  "@nats-io/jetstream": ["server/src/engine/jetstream/"],
  zod: [
    "shared/src/envelopes.ts",
    "shared/src/fields.ts",
    "shared/src/group.ts",
    "shared/src/administration.ts",
    "server/src/codec",
    "server/src/access/",
    "server/src/config",
    "server/src/http/",
  ],
  jose: ["server/src/access/", "server/src/command/"],
  pino: ["server/src/runtime/"],
  "prom-client": ["server/src/runtime/"],
  hono: ["server/src/http/"],
  "@hono/node-server": ["server/src/http/"],
  "@hono/zod-openapi": ["server/src/http/"],
  nanoid: ["server/src/runtime/"],
  tinyqueue: ["server/src/hub/"],
  "string-width": ["server/src/command/"],
};

/** Where the clock, timers and randomness of the machine may be used; everywhere else they are passed in. */
const ambientHomes = ["server/src/runtime/", "server/src/command/", "server/src/demo/", "client/src/runtime.ts"];

const lineCountMax = 400;

const sources = ["shared/src", "client/src", "server/src"].flatMap(readSources);
const imports = sources.flatMap((source) => source.imports);

describe("the packages", () => {
  test("shared imports nothing of ours", () => {
    expect(imports.filter((i) => i.from.package === "shared" && i.ours).map(String)).toEqual([]);
  });

  test("the client imports nothing of ours but shared, and not the part of it that loads zod", () => {
    const offences = imports.filter((i) => i.from.package === "client" && i.ours && i.name !== "@dogear/shared");
    expect(offences.map(String)).toEqual([]);
  });

  test("a relative import stays within its package", () => {
    const offences = imports.filter((i) => i.target !== undefined && !i.target.startsWith(`${i.from.package}/src/`));
    expect(offences.map(String)).toEqual([]);
  });

  test("every relative import names its file with .ts", () => {
    expect(imports.filter((i) => i.target !== undefined && !i.target.endsWith(".ts")).map(String)).toEqual([]);
  });

  for (const [name, places] of Object.entries(homes)) {
    test(`${name} is imported only in ${places.join(", ")}`, () => {
      const offences = imports.filter((i) => i.package === name && !isIn(places, i.from));
      expect(offences.map(String)).toEqual([]);
    });
  }

  test("no files import each other in a circle", () => {
    expect(circles()).toEqual([]);
  });
});

describe("the server", () => {
  const server = imports.filter((i) => i.from.package === "server");

  test("every file belongs to a layer, to the command, to the demo, or puts them together", () => {
    const known = [...layers, ...outside, ...roots];
    const offences = sources.filter((s) => s.package === "server" && !known.includes(s.place));
    expect(offences.map((s) => s.path)).toEqual([]);
  });

  test("a layer imports only itself, the layers below and shared", () => {
    const offences = server.filter((i) => {
      if (!layers.includes(i.from.place)) return false;
      if (i.ours) return i.package !== "@dogear/shared";
      const below = layers.slice(layers.indexOf(i.from.place));
      return i.place !== undefined && !below.includes(i.place);
    });
    expect(offences.map(String)).toEqual([]);
  });

  test("the command and the demo import of the server only its index and its runtime", () => {
    const allowed = [...outside, "index", "runtime"];
    const offences = server.filter(
      (i) => outside.includes(i.from.place) && i.place !== undefined && !allowed.includes(i.place),
    );
    expect(offences.map(String)).toEqual([]);
  });

  test("only the command and the demo import the client", () => {
    const offences = server.filter((i) => i.package === "@dogear/client" && !outside.includes(i.from.place));
    expect(offences.map(String)).toEqual([]);
  });

  test("the seam of the engines imports none of them", () => {
    const offences = server.filter((i) => engineOf(i.from.path) === "" && Boolean(engineOf(i.target)));
    expect(offences.map(String)).toEqual([]);
  });

  test("an engine imports no other, but lmdb may import memory, for namespaces kept there", () => {
    const offences = server.filter((i) => {
      const [from, to] = [engineOf(i.from.path), engineOf(i.target)];
      return from && to && from !== to && !(from === "lmdb" && to === "memory");
    });
    expect(offences.map(String)).toEqual([]);
  });
});

describe("every source", () => {
  test("takes time and randomness from its runtime", () => {
    const offences = find((node, source) => !isIn(ambientHomes, source) && isAmbient(node));
    const timers = imports.filter((i) => i.name.startsWith("node:timers") && !isIn(ambientHomes, i.from));
    expect([...offences, ...timers.map(String)]).toEqual([]);
  });

  test("has no any", () => {
    expect(find((node) => node.kind === ts.SyntaxKind.AnyKeyword)).toEqual([]);
  });

  test("has no enum", () => {
    expect(find(ts.isEnumDeclaration)).toEqual([]);
  });

  test("has no default export", () => {
    expect(find((node) => ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword)).toEqual([]);
  });

  test("has no @ts-ignore", () => {
    expect(grep(/@ts-(ignore|nocheck)/)).toEqual([]);
  });

  test("leaves nothing to do in a comment", () => {
    expect(grep(/\b(TODO|FIXME)\b/)).toEqual([]);
  });

  test(`has at most ${lineCountMax} lines`, () => {
    const offences = sources.filter((s) => s.lines.length > lineCountMax);
    expect(offences.map((s) => `${s.path}:${s.lines.length}`)).toEqual([]);
  });
});

function isIn(places: readonly string[], source: Source): boolean {
  return places.some((place) => source.path.startsWith(place));
}

/** `memory`, `lmdb`, …; nothing for a file of the seam; undefined for a file that is not in engine/. */
function engineOf(path: string | undefined): string | undefined {
  const match = path?.match(/^server\/src\/engine\/(?:([^/]+)\/)?[^/]+$/);
  return match ? (match[1] ?? "") : undefined;
}

const ambientNames = /^(setTimeout|setInterval|randomUUID|randomBytes|randomInt)$/;
const ambientPaths =
  /^(globalThis\.)?(Date\.now|performance\.now|process\.hrtime|Math\.random|crypto\.(random|getRandom)\w+|set(Timeout|Interval))$/;

function isAmbient(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return ambientPaths.test(node.getText());
  if (ts.isNewExpression(node)) return node.expression.getText() === "Date" && !node.arguments?.length;
  if (!ts.isIdentifier(node) || !ambientNames.test(node.text)) return false;
  // `clock.setTimeout` and a declaration of it are what the rule asks for; `typeof setTimeout` is only a type.
  const isName = "name" in node.parent && node.parent.name === node && !ts.isShorthandPropertyAssignment(node.parent);
  return !isName && !ts.isTypeQueryNode(node.parent);
}

/** Where the sources hold such a node, as `file:line text`. */
function find(matches: (node: ts.Node, source: Source) => boolean): string[] {
  const found: string[] = [];
  for (const source of sources) {
    const visit = (node: ts.Node): void => {
      if (matches(node, source)) found.push(`${source.path}:${source.lineOf(node)} ${node.getText().split("\n")[0]}`);
      ts.forEachChild(node, visit);
    };
    visit(source.tree);
  }
  return found;
}

function grep(pattern: RegExp): string[] {
  return sources.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
  );
}

/** Every import that closes a circle, with the way back to where it starts. */
function circles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    if (done.has(path)) return;
    for (const i of imports.filter(({ from, target }) => from.path === path && target !== undefined)) {
      const target = i.target as string;
      const start = [...way, path].indexOf(target);
      if (start >= 0) found.push(`${i}, which leads back: ${[...way, path, target].slice(start).join(" → ")}`);
      else visit(target, [...way, path]);
    }
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  return found;
}
