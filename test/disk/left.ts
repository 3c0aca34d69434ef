/** What a hub leaves behind when it stops, and what another hub makes of it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { connect, type Dogear, type Message } from "@dogear/client";
import type { Gap } from "@dogear/shared";
import { hubOf, launchHub, startHubProcess } from "../support/hub-process.ts";
import type { ChildProcess, Exit } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";

/** Small segments. */
const config = { namespaces: { default: { retention: { bytes: 1_000_000 } } } };

/** How long a hub has to serve everything. */
const readWithinMs = 20_000;

const subscriber = "keeper";

/** Where it has come when the hub stops. */
const kept = 40;

export interface Left {
  readonly data: string;
  readonly epoch: string;
  /** What was published, by offset. */
  readonly published: ReadonlyMap<number, string>;
}

/** What a reader was given, of all there is. */
export interface Served {
  readonly messages: readonly Message[];
  readonly gaps: readonly Gap[];
  /** That of a message published now. */
  readonly epoch: string;
  readonly stderr: string;
}

/** How a hub ended that would not, or could not, serve. */
export interface Ended {
  readonly exit: Exit;
  readonly stderr: string;
}

/** Fills a hub until its log has several segments, moves a cursor, and stops it in good order. */
export async function leave(): Promise<Left> {
  const data = join(temporaryFolder(), "data");
  const hub = await startHubProcess({ data, config });
  const client = connect(hub.url, { subscriber });
  const published = new Map<number, string>();
  let epoch = "";
  for (let batch = 0; batch < 20; batch++) {
    const texts = [0, 1, 2].map((i) => text(batch * 3 + i, batch < 16 ? 14_000 : 20));
    const answers = await Promise.all(texts.map((data) => client.publish(channelOf(data), data)));
    for (const [i, answer] of answers.entries()) {
      published.set(answer.offset, texts[i] as string);
      epoch = answer.epoch;
    }
  }
  for await (const { offset } of client.subscribe(">", { cursor: true, from: "earliest" })) if (offset > kept) break;
  await client.close();
  await hub.stop();
  return { data, epoch, published };
}

/** Starts a hub on what was left, and reads all of it. */
export async function serve(data: string): Promise<Served | Ended> {
  const segments = segmentsOf(data);
  const process = launchHub({ data, config });
  let outcome: Served | Ended;
  try {
    const served = await read(process);
    await process.kill("SIGTERM");
    // Not before it has ended: what it logged may still be on its way here.
    outcome = { ...served, stderr: wordsOf(process) };
  } catch (error) {
    if (!(error instanceof HubEnded)) throw error;
    outcome = { exit: await process.exited, stderr: wordsOf(process) };
  }
  const removed = segments.filter((name) => !segmentsOf(data).includes(name));
  if (removed.length > 0) throw new Error(`The hub removed ${removed}.`);
  return outcome;
}

class HubEnded extends Error {}

/** Rejects with HubEnded where the hub ends first. */
async function read(process: ChildProcess): Promise<Omit<Served, "stderr">> {
  const ended = process.exited.then(() => {
    throw new HubEnded();
  });
  const { url } = await Promise.race([hubOf(process), ended]);
  const client = connect(url, { backoff: { baseMs: 10, capMs: 50 } });
  try {
    return await Promise.race([readAll(client), ended, tooLate()]);
  } finally {
    await client.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {});
  }
}

async function readAll(client: Dogear): Promise<Omit<Served, "stderr">> {
  const end = await client.publish("end", "end");
  const messages: Message[] = [];
  const gaps: Gap[] = [];
  const open = client.subscribe(">", { from: "earliest", onGap: "continue" });
  open.addEventListener("gap", ({ detail }) => gaps.push(detail));
  for await (const message of open) {
    if (message.offset === end.offset && message.epoch === end.epoch) break;
    messages.push(message);
  }
  return { messages, gaps, epoch: end.epoch };
}

async function tooLate(): Promise<never> {
  await after(readWithinMs, undefined, { ref: false });
  throw new Error(`The hub neither ended nor served everything within ${readWithinMs} ms.`);
}

/** What is wrong with what a hub did: nothing, where it said what it could not serve. */
export function wrongWith(outcome: Served | Ended, left: Left): string[] {
  if (!("exit" in outcome)) return [...wrongMessages(outcome, left), ...untold(outcome, left)];
  const { exit, stderr } = outcome;
  const isTold =
    (exit.code === 69 && /dogear: The data in \S+ cannot be read: /.test(stderr)) ||
    (exit.code === 70 && /dogear: The log cannot be written any more: /.test(stderr));
  return isTold || wasEndedByLmdb(outcome) ? [] : [`It ended with ${exit.code ?? exit.signal}, saying: ${stderr}`];
}

/**
 * LMDB has no checksums of its own. What it finds wrong in its free list, or follows to where nothing is, ends the process:
 * nothing wrong is served, but all that is said is what LMDB says.
 */
export function wasEndedByLmdb(outcome: Served | Ended): boolean {
  return "exit" in outcome && (outcome.exit.signal === "SIGABRT" || outcome.exit.signal === "SIGSEGV");
}

function wrongMessages({ messages }: Served, { published }: Left): string[] {
  return messages
    .filter(({ offset, data, channel }) => data !== published.get(offset) || channel !== channelOf(String(data)))
    .map(({ epoch, offset, data }) => `${epoch}/${offset} is ${JSON.stringify(data).slice(0, 60)}`);
}

/** Each message that is missing must be told to the reader and to whoever reads what the hub logs. */
function untold({ messages, gaps, epoch, stderr }: Served, left: Left): string[] {
  const given = new Set(messages.map(({ offset }) => offset as number));
  const missing = [...left.published.keys()].filter((offset) => !given.has(offset));
  // What was cut off is told by another epoch.
  const keptThrough = Number(/"event":"log.cut".*"keptThrough":(\d+)/.exec(stderr)?.[1] ?? Number.POSITIVE_INFINITY);
  const isCut = (offset: number) => offset > keptThrough && epoch !== left.epoch;
  const isGap = (offset: number) =>
    gaps.some(({ from, to }) => offset > from && (to === null || offset <= to)) && /"event":"log.corrupt"/.test(stderr);
  return missing
    .filter((offset) => !isCut(offset) && !isGap(offset))
    .map((offset) => `${offset} is missing, and not everybody is told. ${stderr}`);
}

function text(number: number, length: number): string {
  return `message ${number} `.repeat(Math.ceil(length / 12));
}

function channelOf(text: string): string {
  return `channel-${Number(text.split(" ")[1]) % 3}`;
}

function segmentsOf(data: string): string[] {
  return readdirSync(join(data, "logs/default"));
}

/** What it said, but for what every hub says. */
function wordsOf({ stderr }: ChildProcess): string {
  return stderr
    .split("\n")
    .filter((line) => !/access\.none|"level":"info"/.test(line))
    .join("\n")
    .trim();
}
