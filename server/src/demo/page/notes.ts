/** Notes that visitors leave each other: publishing from a page, also while it is cut off. */
import type { Dogear } from "@dogear/client";
import { create, part } from "./dom.ts";
import { clock, integer } from "./words.ts";

interface Note {
  readonly text: string;
  readonly time: number;
  /** How far it came: waits here, is in the log at an offset, or was refused. */
  readonly fate: string;
}

const channel = "notes.demo";
const shownMax = 3;
const recentMs = 24 * 60 * 60 * 1_000;

export class Notes {
  readonly #dogear: Dogear;
  readonly #list = part("notes");
  /** In the log, by offset. */
  readonly #published = new Map<number, Note>();
  /** On their way, or refused. */
  readonly #waiting = new Set<Note>();

  constructor(dogear: Dogear) {
    this.#dogear = dogear;
    const form = part<HTMLFormElement>("note-form");
    const field = part<HTMLInputElement>("note");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (text) void this.#publish(text);
      field.value = "";
    });
    const from = { time: Date.now() - recentMs };
    dogear.subscribe<{ readonly text?: unknown }>(channel, { from, onGap: "continue" }, ({ offset, time, data }) => {
      this.#add(offset, String(data?.text ?? ""), time);
    });
  }

  async #publish(text: string): Promise<void> {
    const time = Date.now();
    const waiting: Note = { text, time, fate: "waits for the hub" };
    this.#waiting.add(waiting);
    this.#draw();
    try {
      // Resolves once it is in the log, over as many connections as it takes, and never makes it two.
      const { offset } = await this.#dogear.publish(channel, { text });
      this.#waiting.delete(waiting);
      this.#add(offset, text, time);
    } catch (error) {
      this.#waiting.delete(waiting);
      this.#waiting.add({ text, time, fate: `not published: ${String(error)}` });
      this.#draw();
    }
  }

  #add(offset: number, text: string, time: number): void {
    this.#published.set(offset, { text, time, fate: `offset ${integer(offset)}` });
    const oldest = Math.min(...this.#published.keys());
    if (this.#published.size > shownMax) this.#published.delete(oldest);
    this.#draw();
  }

  #draw(): void {
    const published = [...this.#published].sort(([a], [b]) => b - a).map(([, note]) => note);
    const notes = [...[...this.#waiting].reverse(), ...published].slice(0, shownMax);
    this.#list.replaceChildren(
      ...notes.map(({ text, time, fate }) =>
        create("li", "", create("time", "", clock(time)), create("span", "text", text), create("span", "fate", fate)),
      ),
    );
  }
}
