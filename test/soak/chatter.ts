/** Publishes into the rooms at a steady rate, whatever becomes of it. Each room's messages are numbered. */
import type { Dogear } from "@dogear/client";

export interface ChatterOptions {
  readonly rooms: number;
  readonly perSecond: number;
  readonly random: () => number;
}

/** How often it publishes what is due. */
const everyMs = 20;

/** One of so many drafts has an id of its own, which the hub remembers for a while. */
const idEvery = 50;

/** All rooms are in a namespace of their own, apart from what the checked clients publish. */
export function roomName(room: number | ">"): string {
  return `rooms.${room}`;
}

export class Chatter {
  published = 0;
  acknowledged = 0;
  /** Drafts that were refused, and why. */
  readonly failures: string[] = [];
  readonly #dogear: Dogear;
  readonly #options: ChatterOptions;
  readonly #numbers = new Map<number, number>();
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #waiting = new Set<Promise<void>>();

  constructor(dogear: Dogear, options: ChatterOptions) {
    this.#dogear = dogear;
    this.#options = options;
    this.#timer = setInterval(() => this.#publishDue(), everyMs);
  }

  /** Resolves when all that was published is answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#waiting);
  }

  #publishDue(): void {
    const due = ((performance.now() - this.#started) / 1_000) * this.#options.perSecond;
    while (this.published < due) {
      const answered = this.#publish();
      this.#waiting.add(answered);
      void answered.finally(() => this.#waiting.delete(answered));
    }
  }

  async #publish(): Promise<void> {
    const { rooms, random } = this.#options;
    const room = Math.floor(random() * rooms);
    const n = (this.#numbers.get(room) ?? 0) + 1;
    this.#numbers.set(room, n);
    const id = this.published++ % idEvery === 0 ? { id: `chat-${this.published}` } : {};
    try {
      await this.#dogear.publish(roomName(room), { n, text: "x".repeat(100 + 200 * random()) }, id);
      this.acknowledged++;
    } catch (error) {
      this.failures.push(`rooms.${room}, ${n}: ${error}`);
    }
  }
}
