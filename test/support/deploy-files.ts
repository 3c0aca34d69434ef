/** The files of `deploy/` as they are, but for what is the machine's and not the file's: ports, paths, certificates. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./sources.ts";
import { temporaryFolder } from "./temp.ts";

/**
 * A copy of a file, with each text on the left replaced by the one on the right wherever it stands. One that stands
 * nowhere is an error: then the file is not what the test thinks it tries.
 */
export function adapted(name: string, replacements: Readonly<Record<string, string>>): string {
  let text = original(name);
  for (const [theirs, ours] of Object.entries(replacements)) {
    if (!text.includes(theirs)) throw new Error(`deploy/${name} does not say "${theirs}".`);
    text = text.replaceAll(theirs, ours);
  }
  const copy = join(temporaryFolder(), name);
  writeFileSync(copy, text);
  return copy;
}

export function original(name: string): string {
  return readFileSync(join(repository, "deploy", name), "utf8");
}
