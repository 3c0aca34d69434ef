/** A command that asks a hub something, from its first word to its last. */
import { type Dogear, DogearError } from "@dogear/client";
import { type Admin, admin, type GroupOptions } from "@dogear/client/admin";
import { type Shell, stopped } from "../command.ts";
import { Hub, type HubValues } from "../hub.ts";
import { CommandError, Interrupted } from "../usage.ts";
import { Output } from "./output.ts";

/** An option of every command that asks a hub something, next to those that find the hub. */
export const jsonOption = {
  json: { type: "boolean", says: "print JSON, one object a line" },
} as const;

/** An option of every command about one group. */
export const namespaceOption = {
  namespace: { type: "string", value: "name", says: "the group's namespace, where several have one of this name" },
} as const;

export interface Asked extends HubValues {
  readonly json: boolean | undefined;
}

export interface Operator {
  readonly dogear: Dogear;
  readonly admin: Admin;
  readonly output: Output;
  readonly json: boolean;
  /** Says something to people: nothing where JSON was asked for. */
  say(sentence: string): void;
}

/** Does the work with a hub, until it is done or stopped; `left` says what a signal leaves as it is. */
export async function operate(
  values: Asked,
  shell: Shell,
  work: (operator: Operator) => Promise<void>,
  left?: string,
): Promise<void> {
  const hub = new Hub(values, shell.env);
  const json = values.json ?? false;
  const say = (sentence: string): void => {
    if (!json) shell.stderr.write(`dogear: ${sentence}\n`);
  };
  const dogear = hub.connect();
  try {
    await hub.reach(dogear, shell.stop);
    const stop = stopped(shell).then(() => {
      throw new Interrupted(shell.stop.reason.signal, left);
    });
    const operator = { dogear, admin: admin(dogear), output: new Output(shell), json, say };
    await Promise.race([work(operator), stop, failed(dogear)]);
  } finally {
    await dogear.close();
  }
}

/** Rejects with an error that answers nothing, and that a new connection does not mend. */
function failed(dogear: Dogear): Promise<never> {
  return new Promise((_, reject) => {
    dogear.addEventListener("error", ({ detail: { error } }) => {
      if (!(error instanceof DogearError) || error.retry !== "reconnect") reject(error);
    });
  });
}

/** Where to look for a group. */
export function within(namespace: string | undefined): GroupOptions {
  return namespace === undefined ? {} : { namespace };
}

/** The operands that a command needs, and no others. */
export function operandsOf<const N extends readonly string[]>(
  command: string,
  names: N,
  operands: readonly string[],
): { readonly [I in keyof N]: string } {
  const missing = names[operands.length];
  if (missing !== undefined) throw new CommandError("usage", `${command} needs ${missing}.`);
  const extra = operands[names.length];
  if (extra === undefined) return operands as never;
  throw new CommandError("usage", `${JSON.stringify(extra)} is one too many: ${command} takes ${names.join(" and ")}.`);
}
