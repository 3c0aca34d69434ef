/** The demo's page in a browser, as its visitor sees it. */
import type { Position } from "@dogear/client";
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";

/** A point as the page draws it, and as the log holds it. */
export interface Point {
  readonly offset: number;
  readonly time: number;
  readonly value: number;
}

export type Series = Readonly<Record<string, readonly Point[]>>;

/** What was published while the page was away. */
export interface Absence {
  readonly after: Position;
  readonly through?: Position;
}

/** What the page offers to those who look inside. */
interface DogearDemo {
  readonly position: Position | undefined;
  readonly absences: readonly Absence[];
  series(): Series;
}

export interface Shown {
  readonly position: Position;
  readonly absences: readonly Absence[];
  readonly series: Series;
}

declare global {
  interface Window {
    readonly dogearDemo: DogearDemo;
  }
}

/** How long the page may take for anything. */
const timeout = 15_000;

export class DemoPage {
  /** What it asked for from anywhere, and what went wrong in it. */
  readonly requests: string[] = [];
  readonly errors: unknown[] = [];
  readonly #page: Page;

  static async open(context: BrowserContext, url: string): Promise<DemoPage> {
    const page = new DemoPage(await context.newPage());
    await page.#page.goto(url);
    return page;
  }

  private constructor(page: Page) {
    this.#page = page;
    page.setDefaultTimeout(timeout);
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.errors.push(error));
  }

  press(name: string): Promise<void> {
    return this.#page.getByRole("button", { name }).click();
  }

  async reload(): Promise<void> {
    await this.#page.reload();
  }

  async publishNote(text: string): Promise<void> {
    await this.#page.getByLabel("Your note").fill(text);
    await this.press("Publish");
  }

  /** The notes as they are listed, each with what became of it. */
  notes(): Promise<string[]> {
    return this.#page.locator("#notes li").allInnerTexts();
  }

  /** Where the page is in the log, and everything it shows; of one moment. */
  async shown(): Promise<Shown> {
    await this.#page.bringToFront();
    return this.#page.evaluate(() => {
      const { position, absences, series } = window.dogearDemo;
      if (!position) throw new Error("The page has no position yet.");
      return { position, absences, series: series() };
    });
  }

  /** Waits until so many channels are shown, with so many points each beyond an offset. */
  async showsPoints({ channels, points, after = 0 }: { channels: number; points: number; after?: number }) {
    await this.#page.waitForFunction(
      ([channels, points, after]) => {
        const all = Object.values(window.dogearDemo.series());
        const fresh = all.filter((series) => series.filter(({ offset }) => offset > after).length >= points);
        return fresh.length >= channels;
      },
      [channels, points, after] as const,
    );
  }

  /** Waits until the page says that it is connected, or that it is not. */
  async isConnected(connected: boolean): Promise<void> {
    await this.#page.locator(`#state${connected ? "" : ":not("}[data-state="open"]${connected ? "" : ")"}`).waitFor();
  }

  /** Waits until the page says that it has caught up. From then on it is known to have been here. */
  async isLive(): Promise<void> {
    await this.#page.locator("#state-detail", { hasText: /^live$/ }).waitFor();
  }

  /** Waits until the page says that it has been away for so long. */
  async isAwayFor(seconds: number): Promise<void> {
    const ticking = this.#page.locator("#notice-ticking");
    const awaySeconds = async () => Number((await ticking.innerText()).match(/^Away for ([\d.]+) s$/)?.[1] ?? 0);
    await expect.poll(awaySeconds, { timeout }).toBeGreaterThanOrEqual(seconds);
  }

  /** Waits for a notice that matches. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    const notice = this.#page.locator("#notice-text", { hasText: pattern });
    return (await notice.innerText()).match(pattern) as RegExpMatchArray;
  }
}
