/** The project's own sources, for tests that read them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const repository: string = fileURLToPath(new URL("../../", import.meta.url));

export interface Source {
  /** From the root of the repository: `server/src/hub/feed.ts`. */
  readonly path: string;
  /** Its first level: `server`. */
  readonly package: string;
  /** The folder it is in, or its own name where that is `src`: `hub`. */
  readonly place: string;
  readonly lines: readonly string[];
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
  lineOf(node: ts.Node): number;
}

export interface Import {
  readonly from: Source;
  /** As it is written: `../engine/engine.ts`, `@dogear/shared`, `zod/mini`. */
  readonly name: string;
  /** Whether it names one of our packages. */
  readonly ours: boolean;
  /** The package it names: `@dogear/shared`, `zod`; undefined for a relative import. */
  readonly package: string | undefined;
  /** The file that a relative import means, and its place; undefined for a package. */
  readonly target: string | undefined;
  readonly place: string | undefined;
  /** `file:line imports "name"` */
  toString(): string;
}

/** Every TypeScript file in a folder of the repository; none where there is no such folder. */
export function filesIn(folder: string): string[] {
  if (!existsSync(repository + folder)) return [];
  return readdirSync(repository + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "dist" || entry.name === "node_modules" ? [] : filesIn(path);
    return /\.ts$/.test(entry.name) ? [path] : [];
  });
}

/** Every source in a folder, parsed. */
export function readSources(folder: string): Source[] {
  return filesIn(folder).map(readSource);
}

function readSource(path: string): Source {
  const text = readFileSync(repository + path, "utf8");
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const imports: Import[] = [];
  const source: Source = {
    path,
    package: path.slice(0, path.indexOf("/")),
    place: placeOf(path),
    lines: text.trimEnd().split("\n"),
    tree,
    imports,
    lineOf: (node) => tree.getLineAndCharacterOfPosition(node.getStart()).line + 1,
  };
  const visit = (node: ts.Node): void => {
    const name = importedBy(node);
    if (name !== undefined) imports.push(importOf(source, name, node));
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return source;
}

/** What a node imports, in any of the ways there are: a statement, a re-export, `import()` as a call or in a type. */
function importedBy(node: ts.Node): string | undefined {
  let name: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) name = node.moduleSpecifier;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) name = node.argument.literal;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) name = node.arguments[0];
  return name !== undefined && ts.isStringLiteral(name) ? name.text : undefined;
}

function importOf(from: Source, name: string, node: ts.Node): Import {
  const relative = name.startsWith(".");
  const target = relative ? posix.join(posix.dirname(from.path), name) : undefined;
  return {
    from,
    name,
    ours: name.startsWith("@dogear/"),
    package: relative ? undefined : name.match(/^(@[^/]+\/)?[^/]+/)?.[0],
    target,
    place: target === undefined ? undefined : placeOf(target),
    toString: () => `${from.path}:${from.lineOf(node)} imports "${name}"`,
  };
}

/** `server/src/hub/feed.ts` is in hub, and `server/src/main.ts` is main. */
function placeOf(path: string): string {
  return path.split("/")[2]?.replace(/\.ts$/, "") ?? "";
}
