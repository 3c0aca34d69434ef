/**
 * Turns what a group gave up into dead letters: exactly one for each.
 *
 * A dead letter names the message it is about, and the group remembers up to where it has taken note of its dead
 * letters. So the log is asked when the hub starts, and a crash between append and note repeats nothing.
 */
import { type Channel, dogearError, type Offset, type Pattern } from "@dogear/shared";
import type { Log } from "../../engine/engine.ts";
import { textOf } from "../../engine/text.ts";
import { causeOf, deadLetter } from "./dead-letter.ts";
import type { HeldTexts } from "./held-texts.ts";
import type { Item } from "./item.ts";

export interface BurialParts {
  readonly log: Log;
  readonly group: string;
  readonly channel: Channel;
  /** Tells what is given up now from what was, under the same name and offset, before a reset. */
  readonly incarnation: () => string;
  readonly texts: HeldTexts;
  /** Resolves once everything that was decided is durable. */
  store(): Promise<void>;
  /** A message is a dead letter now, at this offset. */
  buried(item: Item, offset: Offset): void;
  /** A message that the log can give no more. */
  vanished(item: Item): void;
}

/** Dead letters that are appended together. */
const batchMax = 256;

const page = { messages: 256, bytes: 1_024 * 1_024, scan: 4 * 1_024 * 1_024 } as const;

export class Burials {
  readonly #parts: BurialParts;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: BurialParts) {
    this.#parts = parts;
  }

  /**
   * Buries everything that is dying, also what joins meanwhile.
   *
   * @throws DogearError `disk-full`, `unavailable`: the log cannot take it now, or the hub is stopping.
   */
  async bury(dying: ReadonlySet<Item>): Promise<void> {
    if (this.#stopped && dying.size > 0) throw dogearError("unavailable");
    this.#running ??= this.#bury(dying).finally(() => {
      this.#running = undefined;
    });
    await this.#running;
    if (this.#stopped && dying.size > 0) throw dogearError("unavailable");
  }

  /** Ends; resolves when what is being appended has been. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running?.catch(() => {});
  }

  /** What became dead letters after an offset: the offsets of the messages, and how far it looked. */
  async since(after: Offset): Promise<{ readonly causes: readonly Offset[]; readonly through: Offset }> {
    const { log, channel } = this.#parts;
    const { newest } = await log.bounds();
    const causes: Offset[] = [];
    let through = after;
    while (through < newest) {
      const found = await log.read(channel as string as Pattern, through, page);
      for (let i = 0; i < found.messages.length; i++) {
        const cause = causeOf(textOf(found.messages, i));
        if (cause !== undefined) causes.push(cause);
      }
      through = found.through;
    }
    return { causes, through };
  }

  async #bury(dying: ReadonlySet<Item>): Promise<void> {
    const { log, group, channel, incarnation, texts, store, buried, vanished } = this.#parts;
    while (dying.size > 0 && !this.#stopped) {
      const batch = [...dying].slice(0, batchMax);
      // That they die is stored first: what the log says of a message later must find it.
      const [found] = await Promise.all([texts.take(batch), store()]);
      for (const item of batch) if (!found.has(item.offset)) vanished(item);
      const present = batch.filter(({ offset }) => found.has(offset));
      const by = { group, channel, incarnation: incarnation() };
      const drafts = present.map((item) => deadLetter(item, found.get(item.offset) as Buffer, by));
      const answers = await log.append(drafts.map((draft) => ({ ...draft, origin: { by: "nobody" } as const })));
      for (const [i, item] of present.entries()) {
        const answer = answers[i];
        if (answer !== undefined && "offset" in answer) buried(item, answer.offset);
      }
    }
  }
}
