/** The files that a build gets: those of a folder that its `.dockerignore` leaves. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Rule {
  /** `!`: what matches is taken after all. */
  readonly takes: boolean;
  readonly levels: readonly string[];
  readonly pattern: RegExp;
}

/** Paths from the folder on, in no particular order. */
export function buildContext(folder: string): string[] {
  const rules = rulesIn(readFileSync(join(folder, ".dockerignore"), "utf8"));
  const filesIn = (under: string): string[] =>
    readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => {
      const path = join(under, entry.name);
      if (entry.isDirectory()) return isIgnored(path, rules) && !isTakenIn(path, rules) ? [] : filesIn(path);
      return isIgnored(path, rules) ? [] : [path];
    });
  return filesIn("");
}

function rulesIn(text: string): Rule[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const takes = line.startsWith("!");
    const pattern = takes ? line.slice(1) : line;
    return { takes, levels: pattern.split("/"), pattern: regularExpression(pattern) };
  });
}

/** `**` is any levels, also none, and `*` is any part of a level. What is in a folder that matches, matches. */
function regularExpression(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&");
  const levels = escaped.replaceAll(/\*\*\/|\*/g, (stars) => (stars === "*" ? "[^/]*" : "(?:.*/)?"));
  return new RegExp(`^${levels}(?:/|$)`);
}

/** The last rule that matches says. */
function isIgnored(path: string, rules: readonly Rule[]): boolean {
  return rules.findLast(({ pattern }) => pattern.test(path))?.takes === false;
}

/** Whether something in an ignored folder may be taken after all. */
function isTakenIn(folder: string, rules: readonly Rule[]): boolean {
  const depth = folder.split("/").length;
  return rules.some(({ takes, levels }) => {
    if (!takes || levels.length <= depth) return false;
    return regularExpression(levels.slice(0, depth).join("/")).test(folder);
  });
}
