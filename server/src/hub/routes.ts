/**
 * Finds what belongs to the patterns that select a channel: a tree of their levels, so that it takes as long as the channel
 * has levels and as many as are found, however many patterns there are.
 */
import type { Channel, Pattern } from "@dogear/shared";

interface Node<T> {
  /** By the next level: a name, `*` or `>`. */
  readonly next: Map<string, Node<T>>;
  /** What belongs to the pattern that ends here. */
  target: T | undefined;
}

export class Routes<T extends object> {
  readonly #root: Node<T> = { next: new Map(), target: undefined };

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#root.next.size === 0;
  }

  set(pattern: Pattern, target: T): void {
    let node = this.#root;
    for (const level of pattern.split(".")) {
      let next = node.next.get(level);
      if (next === undefined) {
        next = { next: new Map(), target: undefined };
        node.next.set(level, next);
      }
      node = next;
    }
    node.target = target;
  }

  delete(pattern: Pattern): void {
    const path: (readonly [from: Node<T>, level: string])[] = [];
    let node = this.#root;
    for (const level of pattern.split(".")) {
      const next = node.next.get(level);
      if (next === undefined) return;
      path.push([node, level]);
      node = next;
    }
    node.target = undefined;
    for (const [from, level] of path.reverse()) {
      const { next, target } = from.next.get(level) as Node<T>;
      if (next.size > 0 || target !== undefined) return;
      from.next.delete(level);
    }
  }

  /** What belongs to every pattern that selects a channel, as `matcher` says. */
  find(channel: Channel): readonly T[] {
    const levels = channel.split(".");
    // From here on no level is the hub's own, which wildcards do not match.
    const openFrom = levels.findLastIndex((level) => level.startsWith("$")) + 1;
    const found: T[] = [];
    const walk = (node: Node<T>, depth: number): void => {
      const level = levels[depth];
      if (level === undefined) {
        if (node.target !== undefined) found.push(node.target);
        return;
      }
      const rest = depth >= openFrom ? node.next.get(">")?.target : undefined;
      if (rest !== undefined) found.push(rest);
      const named = node.next.get(level);
      if (named !== undefined) walk(named, depth + 1);
      const any = level.startsWith("$") ? undefined : node.next.get("*");
      if (any !== undefined) walk(any, depth + 1);
    };
    walk(this.#root, 0);
    return found;
  }
}
