/** The configuration of a hub: checked, with its defaults filled in and the files that it names read. */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { Limits } from "@dogear/shared";
import type { AccessPolicy } from "../access/policy.ts";
import type { JetStreamSettings } from "../engine/jetstream/cluster.ts";
import type { HubPolicy } from "../hub/namespace.ts";
import type { LogLevel } from "../runtime/logger.ts";
import { accessOf, checkTls } from "./access.ts";
import { jetStreamOf } from "./engine.ts";
import { Given, valueAt } from "./given.ts";
import { mistakesIn } from "./limits.ts";
import { addIssues, ConfigError, expectation, Mistakes } from "./mistakes.ts";
import { leavesOf } from "./paths.ts";
import { defaultNamespace, type ListenSettings, type Settings, schema } from "./schema.ts";

export interface Config {
  /** The folder of the data. */
  readonly data: string;
  /** How logs and state are kept on NATS; where it is undefined they are in the folder. */
  readonly jetstream: JetStreamSettings | undefined;
  readonly listen: ListenSettings;
  readonly access: AccessPolicy;
  readonly log: { readonly level: LogLevel };
  readonly limits: Limits;
  readonly policies: readonly HubPolicy[];
}

/** A configuration, and what it says about everything, as files say it. */
export interface Checked {
  readonly config: Config;
  readonly settings: Settings;
}

/** Reads and checks a configuration file. Files named in it are found from its folder on. */
export function readConfig(path: string): Config {
  return check(givenBy(path)).config;
}

/**
 * Checks a configuration; `{}` is the default one. `source` names it in errors, and from `folder`, by default the
 * working directory, the files are found that it names.
 */
export function parseConfig(parsed: unknown, source = "the configuration", folder = "."): Config {
  return check(new Given(parsed, { name: source, folder })).config;
}

/** What a file says. */
export function givenBy(path: string): Given {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError([`The configuration ${path} cannot be read: ${(error as Error).message}.`], { cause: error });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ConfigError([`The configuration ${path} is not JSON: ${whyNotJson(error as Error, text)}.`]);
  }
  return new Given(parsed, { name: path, folder: dirname(path) });
}

/** How much of the text is quoted before the place of a mistake, where it begins with dots. */
const quotedBefore = 10;

/** What is wrong and on which line, without the text there: it may be a secret. */
function whyNotJson({ message }: Error, text: string): string {
  const [, what = message, quoted] =
    message.match(/^(.*?)(?:, (?:"|\.\.\."(.*)").*)? is not valid JSON$/s) ??
    message.match(/^(.*?)(?: in JSON)?(?: at position .*)?$/s) ??
    [];
  const position = message.match(/ at position (\d+)/)?.[1];
  const found = quoted === undefined ? -1 : text.indexOf(quoted);
  const at = position === undefined ? found + quotedBefore : Number(position);
  return position === undefined && found < 0 ? what : `${what} on line ${text.slice(0, at).split("\n").length}`;
}

/** Checks what was given; throws all that is wrong with it, `mistakes` found before included. */
export function check(given: Given, mistakes: Mistakes = new Mistakes()): Checked {
  for (const path of filePaths) locate(path, given);
  const result = schema.safeParse(given.values, { error: expectation });
  if (!result.success) addIssues(result.error.issues, given, schema, mistakes);
  mistakes.throwIfAny();
  const { namespaces, ...said } = result.data as Settings;
  const settings = { ...said, namespaces: { default: defaultNamespace, ...namespaces } };
  const { data, listen, log, limits } = settings;
  for (const [path, sentence] of mistakesIn(limits)) mistakes.add(given.origin(path), sentence);
  if (listen.tls) checkTls(listen.tls, { given, mistakes });
  const access = accessOf(settings.access, { given, mistakes });
  const jetstream = jetStreamOf(settings, { given, mistakes });
  mistakes.throwIfAny();
  return { config: { data, jetstream, listen, access, log, limits, policies: policiesOf(settings) }, settings };
}

const filePaths = leavesOf(schema).filter((path) => path.join() === "data" || path.at(-1)?.endsWith("File"));

/** Names a file from the working directory on, instead of from the folder of where it was said. */
function locate(path: readonly string[], given: Given): void {
  const file = valueAt(given.values, path);
  const origin = given.origin(path);
  if (typeof file !== "string" || file === "" || isAbsolute(file) || origin.folder === ".") return;
  given.set(path, join(origin.folder, file), origin);
}

function policiesOf({ namespaces, limits }: Settings): HubPolicy[] {
  return Object.entries(namespaces).map(([namespace, { durability, retention, ttlMs }]) => ({
    namespace,
    durability,
    retention: { ageMs: retention.ageMs ?? undefined, bytes: retention.bytes ?? undefined },
    deduplicationWindowMs: limits.deduplicationWindowMs,
    deduplicationIdsMax: limits.deduplicationIdsMax,
    producerMemoryMs: limits.producerMemoryMs,
    ttlMs,
  }));
}
