/** An EventSource in a real Chromium: it comes in with a ticket, and loses nothing over a hub that is killed. */
import { createHash } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { findChromium, launch } from "./chromium.ts";

const chromium = findChromium();
const isRequired = process.env.CI === "true";
const missing = "No Chromium was found; CHROMIUM may say where one is.";
if (!chromium && !isRequired) console.warn(`${missing} The tests in a browser are skipped.`);

declare global {
  interface Window {
    /** What the page was given, in order. */
    seen: number[];
  }
}

const key = "key-of-a-page";
const capabilities = { ">": ["publish", "subscribe"] };
const access = { keys: { page: { hash: createHash("sha256").update(key).digest("hex"), capabilities } } };

describe.skipIf(!chromium && !isRequired)("an EventSource", () => {
  let browser: Browser;

  beforeAll(async () => {
    if (!chromium) throw new Error(missing);
    browser = await launch(chromium);
  });

  afterAll(() => browser?.close());

  test("comes back to a hub that was killed, with a used ticket, and misses nothing (P-72, P-79)", async () => {
    const data = temporaryFolder();
    const hub = await startHubProcess({ data, config: { access } });
    const base = hub.url.replace("ws", "http");
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const publish = async (i: number): Promise<void> => {
      const options = { method: "POST", headers: { ...headers, "idempotency-key": `${i}` }, body: `${i}` };
      expect((await fetch(`${base}/publish/a`, options)).status).toBe(200);
    };
    const { ticket } = (await (await fetch(`${base}/ticket`, { method: "POST", headers })).json()) as {
      ticket: string;
    };

    const context = await browser.newContext();
    whenDone(() => context.close());
    const page = await context.newPage();
    await page.goto(`${base}/healthz`);
    await page.evaluate((url) => {
      window.seen = [];
      const source = new EventSource(url);
      source.onmessage = ({ data }) => window.seen.push(JSON.parse(data).data);
    }, `/events?pattern=a&from=earliest&ticket=${ticket}`);
    for (let i = 1; i <= 5; i++) await publish(i);
    await page.waitForFunction(() => window.seen.length >= 3);
    await hub.kill();
    const successor = await startHubProcess({ data, port: hub.port, config: { access } });
    for (let i = 6; i <= 10; i++) await publish(i);
    await page.waitForFunction(() => window.seen.at(-1) === 10);
    const seen = await page.evaluate(() => window.seen);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await successor.stop();
  });
});
