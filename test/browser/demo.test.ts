/** The demo as it is started and used: `dogear serve --demo`, its sensors, and its page in a real Chromium. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { connect } from "@dogear/client";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { startScript } from "../support/process.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { findChromium, launch } from "./chromium.ts";
import { type Absence, DemoPage, type Point, type Series } from "./demo-page.ts";

const chromium = findChromium();
const isRequired = process.env.CI === "true";
const missing = "No Chromium was found; CHROMIUM may say where one is.";
if (!chromium && !isRequired) console.warn(`${missing} The tests in a browser are skipped.`);

const back = /^Back after ([\d.]+) s: (?:nothing missed|(\d+) points? missed, all delivered)\.$/;

describe.skipIf(!chromium && !isRequired)("the demo's page", () => {
  let browser: Browser;

  beforeAll(async () => {
    if (!chromium) throw new Error(missing);
    browser = await launch(chromium);
  });

  afterAll(() => browser?.close());

  test("shows what the log holds after the hub was killed and the page reloaded, nothing missing and nothing twice", async () => {
    const data = temporaryFolder();
    const hub = await startDemo(data);
    // Of another machine, as it were: the sensors of the hub's own die with it, and these go on.
    const elsewhere = startSensors(hub.url, "elsewhere");
    const page = await DemoPage.open(await visitor(), httpOf(hub.url));
    await page.showsPoints({ channels: 6, points: 3 });

    const killed = Date.now();
    await hub.kill();
    await page.isConnected(false);
    await page.isAwayFor(2);
    const { position } = await page.shown();
    const restarted = Date.now();
    await startDemo(data, hub.port);

    const [, awaySeconds] = await page.says(back);
    expect(Number(awaySeconds)).toBeGreaterThanOrEqual(2);
    await page.isConnected(true);
    await page.showsPoints({ channels: 6, points: 2, after: position.offset });

    await page.reload();
    await page.says(back);
    await page.showsPoints({ channels: 6, points: 5 });
    await expectShowsLog(page, hub.url);

    const { series } = await page.shown();
    const measuredMeanwhile = series["sensors.elsewhere.cpu"]?.filter(({ time }) => time > killed && time < restarted);
    expect(measuredMeanwhile).not.toEqual([]);
    expect(new Set(page.requests.map((url) => new URL(url).origin))).toEqual(new Set([httpOf(hub.url)]));
    expect(page.errors).toEqual([]);
    expect((await elsewhere.kill("SIGTERM")).code).toBe(0);
  });

  test("says after a cut how many points it missed, and draws them", async () => {
    const hub = await startDemo();
    const page = await DemoPage.open(await visitor(), httpOf(hub.url));
    await page.showsPoints({ channels: 3, points: 2 });

    await page.press("Cut the connection");
    await page.isConnected(false);
    const before = await page.shown();
    await page.publishNote("from offline");
    expect(await page.notes()).toEqual([expect.stringContaining("waits for the hub")]);
    await page.isAwayFor(2.5);
    expect(await page.shown()).toEqual(before);

    await page.press("Reconnect");
    const [, , missed] = await page.says(back);
    const { series, absences } = await page.shown();
    expect(absences).toMatchObject([{ after: before.position }]);
    const drawn = Object.values(series).flatMap((points) => points.filter(isWithin(absences[0])));
    expect(drawn.length).toBe(Number(missed));
    expect(drawn.length).toBeGreaterThanOrEqual(6);
    await expectShowsLog(page, hub.url);
    await expect.poll(() => page.notes()).toEqual([expect.stringMatching(/from offline\s+offset \d+/)]);
    expect(page.errors).toEqual([]);
  });

  test("gives its place to a second tab, says so, and takes it back", async () => {
    const hub = await startDemo();
    const context = await visitor();
    const first = await DemoPage.open(context, httpOf(hub.url));
    await first.showsPoints({ channels: 3, points: 1 });
    await first.isLive();

    const second = await DemoPage.open(context, httpOf(hub.url));
    await second.says(back);
    await first.says(/^Another tab has taken over this place/);

    await first.press("Take over here");
    await first.says(back);
    await second.says(/^Another tab has taken over this place/);
    const { position } = await first.shown();
    await first.showsPoints({ channels: 3, points: 1, after: position.offset });
    await expectShowsLog(first, hub.url);
    expect([...first.errors, ...second.errors]).toEqual([]);
  });

  /** A browser of someone who was never here. */
  async function visitor(): Promise<BrowserContext> {
    const context = await browser.newContext();
    whenDone(() => context.close());
    return context;
  }
});

function startDemo(data = temporaryFolder(), port = 0) {
  return startHubProcess({ data, port, args: ["--demo"] });
}

function startSensors(url: string, host: string) {
  const server = dirname(createRequire(import.meta.url).resolve("@dogear/server"));
  return startScript(join(server, "demo/sensor-client.js"), [url, host]);
}

/** What the page shows is the log, up to the page's position: each point once, in order, with its value. */
async function expectShowsLog(page: DemoPage, url: string): Promise<void> {
  const { position, series } = await page.shown();
  const log = await readLog(url);
  const isSeen = ({ offset }: Point) => offset <= position.offset;
  const seen = Object.entries(log).map(([channel, points]) => [channel, points.filter(isSeen)] as const);
  expect(series).toEqual(Object.fromEntries(seen.filter(([, points]) => points.length > 0)));
}

/** All readings there are, by channel. */
async function readLog(url: string): Promise<Series> {
  const dogear = connect(url);
  whenDone(() => dogear.close());
  const log: Record<string, Point[]> = {};
  const reading = dogear.subscribe<Point>("sensors.>", { from: "earliest" }, ({ offset, channel, data }) => {
    log[channel] ??= [];
    log[channel].push({ offset, time: data.time, value: data.value });
  });
  await new Promise<void>((resolve) => reading.addEventListener("live", () => resolve()));
  return log;
}

function isWithin(absence: Absence | undefined): (point: Point) => boolean {
  const { after, through } = absence ?? {};
  return ({ offset }) => after !== undefined && after.offset < offset && offset <= (through?.offset ?? 0);
}

function httpOf(url: string): string {
  return url.replace("ws", "http");
}
