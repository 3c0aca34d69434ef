/** What the final, full read found, by place and by pattern. */
import { type Epoch, matcher, namespaceOf, type Offset, type Pattern } from "@dogear/shared";
import type { Content, EventOf, HistoryEvent, Place } from "./history.ts";

export type Logged = EventOf<"read", "ok">;

export class FinalLog {
  readonly messages: readonly Logged[];
  readonly #namespaces: ReadonlySet<string>;
  readonly #byPlace = new Map<string, Logged>();
  readonly #byNamespace = new Map<string, Logged[]>();
  readonly #bounds = new Map<string, EventOf<"read-bounds", "ok">>();
  readonly #matching = new Map<Pattern, readonly Logged[]>();

  constructor(history: readonly HistoryEvent[], namespaces: readonly string[]) {
    this.#namespaces = new Set(namespaces);
    this.messages = history.filter((event) => event.op === "read");
    for (const message of this.messages) {
      this.#byPlace.set(this.placeOf(message), message);
      const name = this.namespaceOf(message.channel);
      const messages = this.#byNamespace.get(name);
      if (messages) messages.push(message);
      else this.#byNamespace.set(name, [message]);
    }
    for (const event of history) if (event.op === "read-bounds") this.#bounds.set(event.namespace, event);
  }

  namespaceOf(name: Content["channel"] | Pattern): string {
    return namespaceOf(name, this.#namespaces);
  }

  /** Names a place for people, and for maps. */
  placeOf({ channel, epoch, offset }: Place & Pick<Content, "channel">): string {
    return `${this.namespaceOf(channel)}@${epoch}/${offset}`;
  }

  at(place: string): Logged | undefined {
    return this.#byPlace.get(place);
  }

  /** Whether retention has removed what was there. */
  isRemoved(name: Content["channel"] | Pattern, offset: Offset): boolean {
    return offset < (this.#bounds.get(this.namespaceOf(name))?.oldest ?? 0);
  }

  matching(pattern: Pattern): readonly Logged[] {
    let matching = this.#matching.get(pattern);
    if (matching === undefined) {
      const matches = matcher(pattern);
      matching = this.#of(pattern).filter(({ channel }) => matches(channel));
      this.#matching.set(pattern, matching);
    }
    return matching;
  }

  /** Whether the final read began early enough to know what there was after an offset, also where it is removed by now. */
  reachesBack(pattern: Pattern, { epoch, from }: { readonly epoch: Epoch; readonly from: Offset }): boolean {
    return this.#of(pattern).some((message) => message.epoch === epoch && message.offset <= from + 1);
  }

  /** The last offset of a pattern's namespace, as far as it is known. */
  newest(pattern: Pattern): number {
    return this.#bounds.get(this.namespaceOf(pattern))?.newest ?? this.#of(pattern).at(-1)?.offset ?? 0;
  }

  #of(pattern: Pattern): readonly Logged[] {
    return this.#byNamespace.get(this.namespaceOf(pattern)) ?? [];
  }
}

export function isSame(a: Content, b: Content): boolean {
  return a.draft === b.draft && a.payload === b.payload && a.channel === b.channel;
}
