/**
 * Channel names and the patterns that select them.
 *
 *     channel   sensors.kitchen.temperature
 *     pattern   sensors.*.temperature        `*` stands for exactly one level
 *     pattern   sensors.>                    a final `>` stands for one or more levels
 *
 * A level is letters, digits, `_` and `-`. A level that starts with `$` is the hub's own: a wildcard never
 * matches it, so `orders.>` does not see `orders.$dead.billing`.
 */

/** A valid channel name. */
export type Channel = string & { readonly __channel: true };

/** A valid pattern; every channel name is one too. */
export type Pattern = string & { readonly __pattern: true };

/** Most levels of a name. */
export const levelsMax = 16;

/** Longest name, in bytes (names are ASCII, so also in characters). */
export const nameBytesMax = 255;

/** Says how many levels there may be as well, because every publish is held against it. */
const channelGrammar = /^\$?[\w-]+(?:\.\$?[\w-]+){0,15}$/;
const patternGrammar = /^(?:(?:\$?[\w-]+|\*)(?:\.(?:\$?[\w-]+|\*))*(?:\.>)?|>)$/;

export function isChannel(name: string): name is Channel {
  return name.length <= nameBytesMax && channelGrammar.test(name);
}

export function isPattern(name: string): name is Pattern {
  return name.length <= nameBytesMax && name.split(".").length <= levelsMax && patternGrammar.test(name);
}

/** Whether a channel belongs to the hub, which alone may publish to it. */
export function isReserved(channel: Channel): boolean {
  return channel.startsWith("$") || channel.includes(".$");
}

/** Whether a pattern selects more than the one channel it spells. */
export function isWildcard(pattern: Pattern): boolean {
  return pattern.includes("*") || pattern.endsWith(">");
}

/**
 * A test for one pattern. Build it once: it splits the pattern when made, and a channel only when it must.
 */
export function matcher(pattern: Pattern): (channel: Channel) => boolean {
  if (!isWildcard(pattern)) return (channel) => (channel as string) === pattern;
  const levels = pattern.split(".");
  const open = levels.at(-1) === ">";
  if (open) levels.pop();
  return (channel) => {
    const named = channel.split(".");
    if (open ? named.length <= levels.length : named.length !== levels.length) return false;
    for (let i = 0; i < named.length; i++) {
      const level = levels[i] ?? "*";
      const name = named[i] as string;
      if (level === "*" ? name.startsWith("$") : level !== name) return false;
    }
    return true;
  };
}

/**
 * Whether everything that one pattern can ever select is selected by another: `a.>` covers `a.*` and `a.b.>`, and `a.*`
 * covers neither `a.>` nor `a.$b`. Namespaces are not looked at: `>` covers every pattern but those with a `$`.
 */
export function covers(granted: Pattern, asked: Pattern): boolean {
  const grants = granted.split(".");
  const asks = asked.split(".");
  for (const [i, grant] of grants.entries()) {
    const ask = asks[i];
    if (ask === undefined) return false;
    if (grant === ">") return asks.slice(i).every((level) => !level.startsWith("$"));
    if (grant === "*" ? ask === ">" || ask.startsWith("$") : grant !== ask) return false;
  }
  return grants.length === asks.length;
}

/** The namespace that holds a channel or pattern: the first level if it names a configured one, else `default`. */
export function namespaceOf(name: Channel | Pattern, configured: { has(namespace: string): boolean }): string {
  const dot = name.indexOf(".");
  const first = dot < 0 ? name : name.slice(0, dot);
  return configured.has(first) ? first : "default";
}
