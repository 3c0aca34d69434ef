/** What was probably meant by a word that is mistyped. */

/** At most this share of a name's letters may be wrong. */
const wrongShareMax = 0.5;

/** The name most like what was typed, where there is one that is like it. */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, wrong: name.startsWith(typed) ? 0 : distance(typed, name) }));
  const [best] = distances.sort((a, b) => a.wrong - b.wrong);
  return best && best.wrong <= wrongShareMax * best.name.length ? best.name : undefined;
}

/** How many letters must be put in, left out or replaced to make one word of the other (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...to].entries()) {
      const replaced = (row[j] as number) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row.at(-1) as number;
}
