/** What is wrong with a configuration, in sentences that say where, and what was expected or meant. */
import type { z } from "zod";
import { nearest } from "../runtime/nearest.ts";
import { type Given, type Origin, valueAt } from "./given.ts";
import { childrenOf, pathsOf, type Schema, schemaAt } from "./paths.ts";

/** A configuration that cannot be used; the message says where and why. */
export class ConfigError extends Error {
  /** A sentence each. */
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[], options?: ErrorOptions) {
    super(mistakes.join(" "), options);
    this.name = "ConfigError";
    this.mistakes = mistakes;
  }
}

/** Collects mistakes, so that whoever mends a configuration sees all of them at once. */
export class Mistakes {
  readonly #sentences: string[] = [];

  add({ name }: Origin, sentence: string): void {
    this.#sentences.push(`${name}: ${sentence}`);
  }

  throwIfAny(): void {
    if (this.#sentences.length > 0) throw new ConfigError(this.#sentences);
  }
}

/** What zod has found, in words. */
export function addIssues(issues: readonly z.core.$ZodIssue[], given: Given, schema: Schema, mistakes: Mistakes): void {
  for (const issue of issues) {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) mistakes.add(given.origin([...path, key]), unknown([...path, key], schema));
    } else {
      mistakes.add(given.origin(path), `${sentence(issue, path, valueAt(given.values, path))}.`);
    }
  }
}

/** That there is no such path, and which was probably meant: a neighbour, or one of that name somewhere else. */
export function unknown(path: readonly string[], schema: Schema): string {
  const word = path.at(-1) ?? "";
  const parent = path.slice(0, -1);
  const holder = schemaAt(schema, parent);
  const neighbour = nearest(word, holder === undefined ? [] : childrenOf(holder));
  const meant = neighbour === undefined ? elsewhere(word, schema) : [...parent, neighbour];
  return `${path.join(".")} is not known${meant === undefined ? "." : `; did you mean ${meant.join(".")}?`}`;
}

function elsewhere(word: string, schema: Schema): readonly string[] | undefined {
  const paths = pathsOf(schema);
  const last = nearest(
    word,
    paths.map((path) => path.at(-1) as string),
  );
  return paths.find((path) => path.at(-1) === last);
}

function sentence(issue: z.core.$ZodIssue, path: readonly string[], value: unknown): string {
  const where = path.length === 0 ? "the configuration" : path.join(".");
  if (issue.code === "invalid_key") return `${where}: ${issue.issues[0]?.message}`;
  if (value === undefined) return `${where} is missing`;
  // Of a list or an object as a whole a message says what is wrong, and not what it is.
  if (issue.code === "custom" && typeof value === "object") return `${where}: ${issue.message}`;
  return `${where} is ${issue.message}${instead(path, value)}`;
}

/** Longest value that is quoted, in characters. */
const quotedLengthMax = 60;

/** What it is not. What is said about access may be secret, also where it is in the wrong place there; so may a URL. */
function instead(path: readonly string[], value: unknown): string {
  const quoted = JSON.stringify(value);
  if (path[0] === "access" || (path[0] === "engine" && quoted.includes("@"))) return "";
  return quoted.length > quotedLengthMax ? "" : `, not ${quoted}`;
}

/** What is expected where the schema itself does not say it. */
export const expectation: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "invalid_value") return `one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small") return "a list with something in it";
  if (issue.code === "too_big") return `a list of at most ${issue.maximum}`;
  if (issue.code === "invalid_type") return expectedTypes[issue.expected] ?? issue.expected;
  return undefined;
};

const expectedTypes: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "text",
  boolean: "true or false",
};
