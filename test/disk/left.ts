/** What a hub leaves behind when it stops, and what another hub makes of it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { connect, type Message } from "@dogear/client";
import type { Gap } from "@dogear/shared";
import { hubOf, launchHub, startHubProcess } from "../support/hub-process.ts";
import type { ChildProcess, Exit } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";

/** Small segments. */
const config = { namespaces: { default: { retention: { bytes: 1_000_000 } } } };

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
  /** What is not as it should be. */
  readonly wrong: readonly string[];
  readonly missing: number;
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
export async function serve(data: string, left: Left): Promise<Served | Ended> {
  const segments = segmentsOf(data);
  const process = launchHub({ data, config });
  let outcome: Served | Ended;
  try {
    outcome = await read(process, left);
    await process.kill("SIGTERM");
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
async function read(process: ChildProcess, left: Left): Promise<Served> {
  const ended = process.exited.then(() => {
    throw new HubEnded();
  });
  const { url } = await Promise.race([hubOf(process), ended]);
  const client = connect(url, { backoff: { baseMs: 10, capMs: 50 } });
  try {
    const messages: Message[] = [];
    const gaps: Gap[] = [];
    const all = async (): Promise<void> => {
      const end = await client.publish("end", "end");
      const open = client.subscribe(">", { from: "earliest", onGap: "continue" });
      open.addEventListener("gap", ({ detail }) => gaps.push(detail));
      for await (const message of open) {
        if (message.offset === end.offset && message.epoch === end.epoch) return;
        messages.push(message);
      }
    };
    const timeout = new Promise<never>((_, reject) =>
      setTimeout(
        () =>
          reject(
            new Error(`Nothing more came within 8 s. ${messages.length} ${JSON.stringify(gaps)} ${wordsOf(process)}`),
          ),
        8000,
      ).unref(),
    );
    await Promise.race([all(), ended, timeout]);
    return { ...compare(left, messages, gaps), stderr: wordsOf(process) };
  } finally {
    await client.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {});
  }
}

function compare(
  { published, epoch }: Left,
  messages: readonly Message[],
  gaps: readonly Gap[],
): Pick<Served, "wrong" | "missing"> {
  const wrong: string[] = [];
  const given = new Set<number>();
  for (const message of messages) {
    given.add(message.offset);
    const expected = published.get(message.offset);
    if (message.data !== expected || message.channel !== channelOf(expected ?? ""))
      wrong.push(`${message.epoch}/${message.offset} is ${JSON.stringify(message.data).slice(0, 60)}`);
  }
  const missing = [...published.keys()].filter((offset) => !given.has(offset));
  const isTold = (offset: number) => gaps.some(({ from, to }) => offset > from && (to === null || offset <= to));
  for (const offset of missing) if (!isTold(offset)) wrong.push(`${epoch}/${offset} is missing, and nobody says so`);
  return { wrong, missing: missing.length };
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
