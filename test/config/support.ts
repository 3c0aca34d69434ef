/** Configurations for tests, and what is said of their mistakes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ConfigError, type ConfigSources, loadConfig, parseConfig } from "@dogear/server";
import { temporaryFolder } from "../support/temp.ts";

/** A secret that nobody knows. */
export const secret = "R2l2ZSBtZSBhIHBsYWNlIHRvIHN0YW5kIG9uLCBhbmQgSSB3aWxs";

/** Text, as it is or as JSON, in files of a new folder. */
export function folderOf(files: Readonly<Record<string, unknown>>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

/** What is wrong with a configuration, a sentence each, with dogear.json for its source. */
export function mistakes(config: unknown, folder?: string): readonly string[] {
  return mistakesOf(() => parseConfig(config, "dogear.json", folder));
}

/** What is wrong with what all sources say together. */
export function mistakesFrom(sources: ConfigSources): readonly string[] {
  return mistakesOf(() => loadConfig(sources));
}

export function mistakesOf(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
