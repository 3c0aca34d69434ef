/** Where the hub says what happens to it: one JSON object a line, on standard error. */
import { DogearError } from "@dogear/shared";
import { pino } from "pino";
import { redacted } from "./redaction.ts";

export interface Logger {
  info(event: string, facts?: Facts): void;
  warn(event: string, facts?: Facts): void;
  error(event: string, facts?: Facts): void;
}

export type Facts = Readonly<Record<string, unknown>>;

/** From the most that can be said to nothing. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

export interface JsonLoggerOptions {
  /** `info` by default. What weighs less is not said. */
  readonly level?: LogLevel;
  /** Takes whole lines, each at once. */
  readonly destination: { write(line: string): unknown };
  readonly now?: () => number;
}

/**
 * Writes lines such as `{"level":"warn","time":"2026-11-20T08:00:00.000Z","event":"cursor.not-stored","cursor":"…"}`.
 * An error among the facts becomes text with its causes. What nobody must read in a log does not get into it: see
 * `redacted`.
 */
export function jsonLogger({ level = "info", destination, now = Date.now }: JsonLoggerOptions): Logger {
  const lines = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: redacted },
    },
    { write: (line) => void destination.write(line) },
  );
  const at =
    (weight: keyof Logger): Logger["info"] =>
    (event, facts) =>
      lines[weight]({ event, ...facts });
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/**
 * How much a failure weighs that is met again: where the log cannot be reached now, and will be, a warning is enough. It
 * needs nobody but whoever sees to the log.
 */
export function weightOf(error: unknown): "warn" | "error" {
  return error instanceof DogearError && error.code === "unavailable" ? "warn" : "error";
}

/** Says nothing. */
export const silentLogger: Logger = { info: () => {}, warn: () => {}, error: () => {} };
