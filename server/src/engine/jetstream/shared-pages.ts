/**
 * Pages that are kept for those who catch up together: a thousand subscriptions that fall behind at once, or come back at once,
 * read the same, and each page would be a question to the NATS servers for each of them. A page is kept when somebody comes
 * a second time to where one was read lately, so that one who reads alone keeps nothing in memory; and for a moment, because
 * what is in it may be removed meanwhile, by other hubs too.
 */
import type { Offset, Pattern } from "@dogear/shared";
import type { Clock } from "../../runtime/clock.ts";
import type { Budget, Page } from "../engine.ts";
import { type Messages, MessagesBuilder } from "../messages.ts";
import { fitting, memoryOf } from "../tail.ts";

/** What matches a pattern after one offset and up to another. */
interface Stretch {
  readonly pattern: Pattern;
  readonly after: Offset;
  readonly through: Offset;
}

interface KeptPage extends Stretch {
  readonly messages: Messages;
  /** Until when it may be used, by the monotonic clock. */
  readonly until: number;
}

const keptMs = 1_000;
const keptBytesMax = 4 * 1_024 * 1_024;
/** One that would take the place of too many others is not kept. */
const pageBytesMax = keptBytesMax / 8;
/** Of so many pages it is remembered that they were read. */
const rememberedMax = 1_000;

export class SharedPages {
  readonly #clock: Pick<Clock, "monotonic">;
  /** Oldest first. */
  readonly #kept: KeptPage[] = [];
  #keptBytes = 0;
  readonly #lately: Stretch[] = [];

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** What comes after an offset, out of a page that somebody else has read. */
  find(pattern: Pattern, after: Offset, budget: Budget): Page | undefined {
    this.#dropOld();
    const page = this.#kept.findLast((kept) => reaches(kept, pattern, after));
    if (page === undefined) return undefined;
    const rest = page.messages.slice(page.messages.indexAfter(after));
    const fits = fitting(rest, 0, budget, new MessagesBuilder());
    const next = rest.offsets[fits];
    const through = next === undefined ? page.through : ((next - 1) as Offset);
    return { gap: undefined, messages: rest.slice(0, fits), through };
  }

  /** Takes note of a page that was read after an offset. */
  add(pattern: Pattern, after: Offset, { gap, messages, through }: Page): void {
    if (gap !== undefined || through <= after) return;
    if (!this.#lately.some((stretch) => reaches(stretch, pattern, after))) {
      this.#lately.push({ pattern, after, through });
      if (this.#lately.length > rememberedMax) this.#lately.shift();
      return;
    }
    const page = { pattern, after, through, messages, until: this.#clock.monotonic() + keptMs };
    if (memoryOf(page) > pageBytesMax) return;
    this.#kept.push(page);
    this.#keptBytes += memoryOf(page);
    while (this.#keptBytes > keptBytesMax) this.#drop();
  }

  /** Something was removed from the log. */
  clear(): void {
    while (this.#kept.length > 0) this.#drop();
  }

  #dropOld(): void {
    const now = this.#clock.monotonic();
    for (let [page] = this.#kept; page !== undefined && page.until <= now; [page] = this.#kept) this.#drop();
  }

  #drop(): void {
    this.#keptBytes -= memoryOf(this.#kept.shift() as KeptPage);
  }
}

function reaches(stretch: Stretch, pattern: Pattern, after: Offset): boolean {
  return stretch.pattern === pattern && stretch.after <= after && after < stretch.through;
}
