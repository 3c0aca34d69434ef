/**
 * Reads a log a page at a time.
 *
 * A replica that lags behind may answer, so an end of the log that it sees is not the end: a page reaches beyond its last
 * message only where the leader says that nothing matches there. What the leader has instead is in the page, so that one
 * without messages says that there are none. And what was removed meanwhile is missing from what was
 * read without a sign: unless the page begins right where it was asked for, the leader is asked afterwards where the log
 * begins.
 */
import { matcher, type Offset, type Pattern } from "@dogear/shared";
import type { Budget, Page } from "../engine.ts";
import { MessagesBuilder } from "../messages.ts";
import { fitting } from "../tail.ts";
import { joinBodies, type Stored } from "../text.ts";
import type { DirectReader } from "./direct-reader.ts";
import type { Incarnation } from "./incarnation.ts";
import type { LogStream } from "./log-stream.ts";
import { selectsExactly } from "./names.ts";
import type { Removals } from "./removals.ts";

export interface PageReaderParts {
  readonly stream: Pick<LogStream, "subjects" | "nextFrom">;
  readonly direct: Pick<DirectReader, "read">;
  readonly removals: Pick<Removals, "of">;
  readonly incarnation: Pick<Incarnation, "newest" | "facts">;
}

/** The most that is asked for at once. */
const pageMessagesMax = 4_096;
const pageBytesMax = 8 * 1_024 * 1_024;

export class PageReader {
  readonly #parts: PageReaderParts;

  constructor(parts: PageReaderParts) {
    this.#parts = parts;
  }

  async read(pattern: Pattern, after: Offset, budget: Budget): Promise<Page> {
    const { stream, direct } = this.#parts;
    const subject = stream.subjects.matching(pattern);
    const { messages: read, pending } = await direct.read(
      after + 1,
      subject,
      Math.min(budget.messages, pageMessagesMax),
      Math.min(budget.bytes, budget.scan, pageBytesMax),
    );
    const last = read.at(-1)?.offset ?? after;
    const { through, more } = pending > 0 ? { through: last, more: [] } : await this.#end(subject, last);
    const removed = read[0]?.offset === after + 1 && pending > 0 ? undefined : await this.#removed(pattern, after);
    return this.#page(pattern, after, budget, { read: [...read, ...more], through, removed });
  }

  /**
   * What the leader has next under a subject behind an offset; or how far it has nothing there, not beyond what it had
   * before it was asked.
   */
  async #end(subject: string, last: Offset): Promise<{ readonly through: Offset; readonly more: readonly Stored[] }> {
    const { stream, incarnation } = this.#parts;
    let end = incarnation.newest;
    if (end <= last) end = (await incarnation.facts()).newest;
    if (end <= last) return { through: last, more: [] };
    const next = await stream.nextFrom(last + 1, subject);
    if (next === undefined || next.offset > end) return { through: end, more: [] };
    const { offset, body } = next;
    return { through: offset, more: [{ offset, channel: stream.subjects.channelOf(next.subject), body }] };
  }

  async #removed(pattern: Pattern, after: Offset): Promise<Offset | undefined> {
    const { oldest } = await this.#parts.incarnation.facts();
    return this.#parts.removals.of(pattern, after, oldest);
  }

  #page(
    pattern: Pattern,
    after: Offset,
    budget: Budget,
    found: { readonly read: readonly Stored[]; readonly through: Offset; readonly removed: Offset | undefined },
  ): Page {
    const from = found.removed ?? after;
    const matches = selectsExactly(pattern) ? undefined : matcher(pattern);
    const selected = found.read.filter(
      ({ offset, channel }) => offset > from && (matches === undefined || matches(channel)),
    );
    const all = joinBodies(selected);
    const fits = fitting(all, 0, budget, new MessagesBuilder());
    const through = fits < all.length ? (all.offsets[fits] as number) - 1 : found.through;
    return {
      gap: found.removed === undefined ? undefined : { from: after, to: found.removed, reason: "retention" },
      messages: all.slice(0, fits),
      through: Math.max(from, through) as Offset,
    };
  }
}
