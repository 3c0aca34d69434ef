/**
 * What somebody may do: patterns, each with rights. All that is not named is refused.
 *
 *     { "inbox.{user}.>": ["subscribe"], "orders.*": ["publish", "work"] }
 *
 * In a capability `>` means every channel of every namespace, and as ever a wildcard never means a level that starts
 * with `$`.
 */
import { type Channel, covers, isPattern, type Pattern } from "@dogear/shared";
import { z } from "zod";

export const rights = ["publish", "subscribe", "work", "admin"] as const;
export type Right = (typeof rights)[number];

/** Patterns in which a level may be `{user}`, and what may be done there. */
export type Capabilities = Readonly<Record<string, readonly Right[]>>;

/** Most patterns of one token: each is looked at when a channel is used for the first time. */
const patternsMax = 1_000;

const userLevel = "{user}";

export const capabilities: z.ZodType<Capabilities> = z
  .record(
    z.string().refine((pattern) => isPattern(forUser(pattern, "user")), "it is not a pattern of channels"),
    z.array(z.enum(rights)).max(rights.length).readonly(),
  )
  .refine((granted) => Object.keys(granted).length <= patternsMax, `they are at most ${patternsMax} patterns`);

/** What one user may do. */
export interface Permissions {
  may(right: Right, name: Channel | Pattern): boolean;
  /** Whether there is anything at all that it may do by this right. */
  mayAnywhere(right: Right): boolean;
}

/** Everything, everywhere, as on a hub for its own machine alone. */
export const everything: Permissions = { may: () => true, mayAnywhere: () => true };

/** What is remembered of one right: answers about names that were asked for lately. */
const rememberedMax = 1_000;

/**
 * The permissions that capabilities give a user. One whose name is not a level of a channel gets nothing by `{user}`:
 * its name could otherwise spell another pattern.
 */
export function permissionsOf(granted: Capabilities, user: string): Permissions {
  const patterns = new Map<Right, Pattern[]>(rights.map((right) => [right, []]));
  for (const [template, given] of Object.entries(granted)) {
    const pattern = filled(template, user);
    if (pattern !== undefined) for (const right of given) patterns.get(right)?.push(pattern);
  }
  const remembered = new Map<string, boolean>();
  return {
    may(right, name) {
      const asked = `${right} ${name}`;
      let answer = remembered.get(asked);
      if (answer === undefined) {
        answer = (patterns.get(right) as Pattern[]).some((pattern) => grants(pattern, name));
        if (remembered.size >= rememberedMax) remembered.clear();
        remembered.set(asked, answer);
      }
      return answer;
    },
    mayAnywhere: (right) => (patterns.get(right) as Pattern[]).length > 0,
  };
}

function grants(granted: Pattern, name: Channel | Pattern): boolean {
  return covers(granted, name as Pattern);
}

function filled(template: string, user: string): Pattern | undefined {
  const pattern = forUser(template, user);
  if (pattern !== template && !/^[A-Za-z0-9_-]+$/.test(user)) return undefined;
  return isPattern(pattern) ? pattern : undefined;
}

function forUser(template: string, user: string): string {
  return template
    .split(".")
    .map((level) => (level === userLevel ? user : level))
    .join(".");
}
