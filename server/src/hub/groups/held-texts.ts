/**
 * The texts of messages that a group is about to lease. Those that were just read are kept, within bounds; the rest is
 * read again, because the log is the buffer.
 */
import type { Channel, Offset, Pattern } from "@dogear/shared";
import type { Log } from "../../engine/engine.ts";
import { readTexts } from "../texts.ts";
import { redrivenText } from "./dead-letter.ts";
import type { Item } from "./item.ts";

/** Most that one group keeps. */
const bytesMax = 8 * 1_024 * 1_024;

export class HeldTexts {
  readonly #log: Log;
  readonly #pattern: Pattern;
  readonly #deadChannel: Channel;
  readonly #texts = new Map<Offset, Buffer>();
  #bytes = 0;

  constructor(log: Log, { pattern, deadChannel }: { readonly pattern: Pattern; readonly deadChannel: Channel }) {
    this.#log = log;
    this.#pattern = pattern;
    this.#deadChannel = deadChannel;
  }

  get full(): boolean {
    return this.#bytes >= bytesMax;
  }

  /** Keeps a copy: what was read is a piece of a page, and would keep all of it. */
  keep(offset: Offset, text: Buffer): void {
    if (this.full) return;
    this.#texts.set(offset, Buffer.from(text));
    this.#bytes += text.length;
  }

  drop(offset: Offset): void {
    const text = this.#texts.get(offset);
    if (text === undefined) return;
    this.#texts.delete(offset);
    this.#bytes -= text.length;
  }

  clear(): void {
    this.#texts.clear();
    this.#bytes = 0;
  }

  /**
   * The texts of messages, a redriven one as its member is to see it. One that can be read no more is missing.
   * What is kept of them is dropped.
   */
  async take(items: readonly Item[]): Promise<ReadonlyMap<Offset, Buffer>> {
    const texts = new Map<Offset, Buffer>();
    const missing: Item[] = [];
    for (const item of items) {
      const text = this.#texts.get(item.offset);
      if (text === undefined) missing.push(item);
      else texts.set(item.offset, text);
      this.drop(item.offset);
    }
    const isRedriven = ({ redriven }: Item) => redriven;
    for (const [offset, text] of await this.#read(
      this.#pattern,
      missing.filter((item) => !isRedriven(item)),
    )) {
      texts.set(offset, text);
    }
    const deadLetters = await this.#read(this.#deadChannel as string as Pattern, missing.filter(isRedriven));
    for (const [offset, text] of deadLetters) texts.set(offset, redrivenText(text));
    return texts;
  }

  async #read(pattern: Pattern, items: readonly Item[]): Promise<ReadonlyMap<Offset, Buffer>> {
    if (items.length === 0) return new Map();
    const offsets = items.map(({ offset }) => offset).sort((a, b) => a - b);
    return readTexts(this.#log, pattern, offsets);
  }
}
