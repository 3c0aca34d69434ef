/**
 * Nothing leaves the hub before it is on the disk: no confirmation of a publish, no message, no subscription whose cursor is
 * not stored, no lease. Seen from between the hub and its system: every write and flush, and all that it sends, in order.
 */
import { basename, dirname, join } from "node:path";
import { connect } from "@dogear/client";
import { expect, test } from "vitest";
import { figure } from "../support/figures.ts";
import { hubOf, launchHub } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { orderOf, type Watched } from "./order.ts";
import { readTrace, shimLibrary, shimmed, type TracedCall } from "./shim.ts";

const library = shimLibrary();
const publishes = 200;

const draftsIn = (text: string) => [...text.matchAll(/"draft-(\d+)"/g)].map(([, number]) => number as string);
const confirmedIn = (text: string) =>
  [...text.matchAll(/"is":"published","number":(\d+)(?:,"count":(\d+))?/g)].flatMap(([, number, count = 1]) =>
    Array.from({ length: Number(count) }, (_, i) => String(Number(number) + i)),
  );

const confirmations: Watched = { stored: draftsIn, sent: confirmedIn };
const messages: Watched = { stored: draftsIn, sent: draftsIn };
const cursors: Watched = {
  stored: (text) => (text.includes("cursor/anonymous/reader/") ? ["cursor"] : []),
  sent: (text) => (text.includes('"is":"subscribed"') ? ["cursor"] : []),
};

test.skipIf(library === undefined)("nothing leaves a hub before it is on the disk (G1, G3, G9, G14)", async () => {
  const calls = await traced();
  expect(orderOf(calls, confirmations)).toEqual({ sent: publishes, tooEarly: [] });
  expect(orderOf(calls, messages)).toEqual({ sent: publishes, tooEarly: [] });
  expect(orderOf(calls, cursors)).toEqual({ sent: 1, tooEarly: [] });
  figure("confirmations traced to their flush", publishes);

  // The same calls, with chunks that are written and not flushed.
  const unflushed = calls.map((call) => (isFlushedWrite(call) ? { ...call, call: "write" as const } : call));
  expect(orderOf(unflushed, confirmations).tooEarly.length).toBe(publishes);
  // The same without the flush of the pages, and without that of the page that points to them.
  for (const isMissing of [isFlushOfPages, isFlushedWrite]) {
    const without = calls.filter((call) => !isMissing(call));
    expect(orderOf(without, cursors).tooEarly).toEqual(["cursor"]);
  }
});

test.skipIf(library === undefined)("a name is on the disk before what lies under it (G1)", async () => {
  const calls = await traced();
  const isMaking = ({ call, name, path, result }: TracedCall): boolean =>
    call === "name" && ["mkdir", "open"].includes(name) && result >= 0 && /\/data\/(?!.*\/lock\.mdb$)/.test(path);
  const made = new Map<string, number>();
  for (const [at, call] of calls.entries()) if (isMaking(call) && !made.has(call.path)) made.set(call.path, at);
  expect([...made.keys()].map((path) => basename(path))).toEqual([
    "state",
    "data.mdb",
    "logs",
    "default",
    "0000000000000001",
    "chunks",
  ]);
  for (const [path, at] of made) {
    const committed = calls.findIndex((call) => isFlushedWrite(call) && call.path.startsWith(path));
    const flushed = calls.slice(at, committed).some((call) => call.name === "fsync" && call.path === dirname(path));
    expect([path, flushed]).toEqual([path, true]);
  }
});

function isFlushOfPages({ name }: TracedCall): boolean {
  return name === "fdatasync";
}

/** Of chunks, or of the page that points to others. */
function isFlushedWrite({ call, name }: TracedCall): boolean {
  return call === "flush" && name.startsWith("pwrite");
}

/** All that a hub did while somebody published, somebody read with a cursor, and somebody worked. */
async function traced(): Promise<readonly TracedCall[]> {
  const folder = temporaryFolder();
  const [data, trace] = [join(folder, "data"), join(folder, "trace")];
  const env = shimmed(library as string, { folder: data, trace, text: true });
  const hub = await hubOf(launchHub({ data, env }));
  const client = connect(hub.url, { subscriber: "reader" });
  const read: Collected<unknown> = new Collected();
  client.subscribe(">", { cursor: true, from: "earliest" }, ({ data }) => read.add(data));
  for (let number = 1; number <= publishes; number += 5)
    await Promise.all([0, 1, 2, 3, 4].map((i) => client.publish("a", `draft-${number + i}`)));
  await read.reach(publishes);
  await client.close();
  await hub.stop();
  return readTrace(trace);
}
