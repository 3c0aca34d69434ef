/** How a command ends: its exit codes, after sysexits.h, and the errors that lead to them. */
import { type DogearError, sentences } from "@dogear/shared";

export const exits = {
  ok: { code: 0, says: "done, or stopped in good order" },
  refused: { code: 1, says: "the hub refused; the message ends with the name of its error" },
  usage: { code: 64, says: "the command line is wrong" },
  data: { code: 65, says: "the input is not what it should be" },
  unavailable: { code: 69, says: "no hub answers; or the hub cannot have its port or its data" },
  internal: { code: 70, says: "a fault in dogear, or in the disk" },
  config: { code: 78, says: "the configuration is wrong" },
} as const;

export type Exit = keyof typeof exits;

/** The exit codes of a command that a signal ended before its work was done. */
export const signalExits = { SIGINT: 130, SIGTERM: 143 } as const;

/** Why a command cannot go on; the message is for the person who typed it. */
export class CommandError extends Error {
  readonly exit: Exit;

  constructor(exit: Exit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exit = exit;
  }
}

/** A signal asked the command to stop. */
export class Interrupted extends Error {
  readonly signal: keyof typeof signalExits;

  constructor(signal: keyof typeof signalExits, detail?: string) {
    super(detail === undefined ? `Stopped by ${signal}.` : `Stopped by ${signal}: ${detail}.`);
    this.name = "Interrupted";
    this.signal = signal;
  }
}

/** An error of the hub or the client, as a sentence that ends with its name. */
export function refusal({ code, message }: DogearError): string {
  return `${message || sentences[code]} (${code})`;
}

/** The value of an option that is a whole number. */
export function integer(option: string, text: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;
  throw new CommandError("usage", `--${option} is a whole number ${range}, not ${JSON.stringify(text)}.`);
}

/** Refuses what is left over on the command line. */
export function noMore([first]: readonly string[], why: string): void {
  if (first !== undefined) throw new CommandError("usage", `${JSON.stringify(first)} is one too many: ${why}`);
}
