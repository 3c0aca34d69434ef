/**
 * Where a configuration comes from: flags, the environment's variables and a file, of which the first that says
 * something counts. The variables are the schema's paths: `limits.messageBytesMax` is `DOGEAR_LIMITS_MESSAGE_BYTES_MAX`.
 */
import { z } from "zod";
import { nearest } from "../runtime/nearest.ts";
import { type Config, check, givenBy } from "./config.ts";
import { redactedEngine } from "./engine.ts";
import { Given, type Origin } from "./given.ts";
import { Mistakes, unknown } from "./mistakes.ts";
import { bare, leavesOf, type Schema, schemaAt } from "./paths.ts";
import { type Settings, schema } from "./schema.ts";

export interface ConfigSources {
  /** The file; where it is left out, `DOGEAR_CONFIG` may name one. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly flags?: readonly ConfigFlag[];
}

/** A value that was given on the command line. */
export interface ConfigFlag {
  /** As it was typed: `--port`. Mistakes name it so. */
  readonly flag: string;
  /** `listen.port` */
  readonly path: string;
  readonly text: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** All of it as a file could say it, defaults included, without the secrets. */
  readonly settings: object;
  /** The file that was read. */
  readonly file: string | undefined;
}

/** The working directory's: from there on, variables and flags name files. */
const folder = ".";

/** Reads and checks the configuration that all sources together give; a `ConfigError` says all that is wrong. */
export function loadConfig({ file, env = {}, flags = [] }: ConfigSources = {}): LoadedConfig {
  const named = file ?? (env.DOGEAR_CONFIG || undefined);
  const given = named === undefined ? new Given({}, { name: "the defaults", folder }) : givenBy(named);
  const mistakes = new Mistakes();
  takeVariables(env, given, mistakes);
  for (const { flag, path, text } of flags) take(path.split("."), text, { name: flag, folder }, given, mistakes);
  const { config, settings } = check(given, mistakes);
  return { config, settings: redacted(settings), file: named };
}

const prefix = "DOGEAR_";

/** The variable of every value, and its path. */
export const variables: ReadonlyMap<string, readonly string[]> = new Map(
  leavesOf(schema)
    .filter(([first]) => first !== "$schema")
    .map((path) => [variableOf(path), path]),
);

function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return `${prefix}${words.join("_")}`;
}

/** Variables of the commands, which are not part of what a hub is told. */
const others = ["DOGEAR_CONFIG", "DOGEAR_URL", "DOGEAR_TOKEN", "DOGEAR_TOKEN_FILE"];

function takeVariables(env: Readonly<Record<string, string | undefined>>, given: Given, mistakes: Mistakes): void {
  for (const [name, text = ""] of Object.entries(env)) {
    // A variable that is empty is one that somebody has left out.
    if (!name.startsWith(prefix) || text === "" || others.includes(name)) continue;
    const path = variables.get(name);
    if (path !== undefined) take(path, text, { name, folder }, given, mistakes);
    else if (!isOfKubernetes(name, env)) mistakes.add({ name: "The environment", folder }, unknownVariable(name));
  }
}

/** Kubernetes tells every container of services that are named dogear or dogear-… in variables of its own. */
function isOfKubernetes(name: string, env: Readonly<Record<string, string | undefined>>): boolean {
  const told = /_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/.test(name);
  return told && env.KUBERNETES_SERVICE_HOST !== undefined;
}

function unknownVariable(name: string): string {
  const known = [...variables.keys(), ...others].map((variable) => variable.slice(prefix.length));
  const typed = name.slice(prefix.length);
  const near = known.find((variable) => variable.endsWith(`_${typed}`)) ?? nearest(typed, known);
  return `${name} is not known${near === undefined ? "." : `; did you mean ${prefix}${near}?`}`;
}

/** Puts what a variable or a flag says where it belongs. */
function take(path: readonly string[], text: string, origin: Origin, given: Given, mistakes: Mistakes): void {
  const at = schemaAt(schema, path);
  if (at === undefined) return mistakes.add(origin, unknown(path, schema));
  const value = meant(text, at);
  if (value === undefined) mistakes.add(origin, `${path.join(".")} is written in JSON here.`);
  else given.set(path, value, origin);
}

/** The value that a text is meant to be; the text itself where it can be none, so that the schema says what it should. */
function meant(text: string, schema: Schema): unknown {
  const kind = bare(schema);
  if (text === "null" && schema !== kind) return null;
  if (
    kind instanceof z.ZodNumber ||
    (kind instanceof z.ZodLiteral && typeof kind.values.values().next().value === "number")
  )
    return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (kind instanceof z.ZodArray && !text.trimStart().startsWith("["))
    return text.split(",").map((item) => item.trim());
  if (kind instanceof z.ZodArray || kind instanceof z.ZodObject || kind instanceof z.ZodRecord) return json(text);
  return text;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function redacted(settings: Settings): object {
  const { tokens } = settings.access;
  const engine = redactedEngine(settings.engine);
  if (tokens === undefined) return { ...settings, engine };
  const secrets = tokens.secrets.map(() => "[redacted]");
  return { ...settings, engine, access: { ...settings.access, tokens: { ...tokens, secrets } } };
}
