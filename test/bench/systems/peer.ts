/** What all peers have in common: where they were installed, how they are started and how their clients count. */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, openSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { seconds } from "../measure.ts";
import type { Publisher, PublisherOptions, Subscriber, SubscriberOptions } from "../system.ts";
import { program, stopped } from "./process.ts";

/** Seen from the sources and from what was built of them alike. */
export const peersFolder: string = join(import.meta.dirname, "../../bench/peers");

/** A program that `npm run bench:peers` installs, or that was there before. */
export function peerProgram(name: string): string | undefined {
  const variable = name.replaceAll("-", "_").toUpperCase();
  const elsewhere = [join(peersFolder, "bin", name), join("/usr/sbin", name)];
  return program(name, variable) ?? elsewhere.find((path) => existsSync(path));
}

/** Why a peer is absent, if it is. */
export function unless(found: unknown, what: string): string | undefined {
  return found ? undefined : `${what} was not found: npm run bench:peers`;
}

/** For `leavesOut`: the same reason for each of these workloads. */
export function leavingOut(why: string, workloads: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(workloads.map((workload) => [workload, why]));
}

/** A package that was installed for the peers alone. Their types are not installed with the project. */
export function peerPackage(name: string): unknown {
  return createRequire(join(peersFolder, "package.json"))(name);
}

export function peerPackageVersion(name: string): string | undefined {
  const file = join(peersFolder, "node_modules", name, "package.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : undefined;
}

/** A port that is free, out of the range from which connections take theirs: others open thousands meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export interface Server {
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** Starts a program that listens on a port it was told; what it prints goes to a file in its folder. */
export async function server(
  command: string,
  args: readonly string[],
  options: { readonly folder: string; readonly port: number; readonly env?: Readonly<Record<string, string>> },
): Promise<Server> {
  const log = join(options.folder, "output.log");
  const output = openSync(log, "a");
  const env = { ...process.env, ...options.env };
  const child = spawn(command, args, { stdio: ["ignore", output, output], cwd: options.folder, env });
  const end = performance.now() + 60_000;
  while (!(await accepts(options.port))) {
    if (child.exitCode === null && performance.now() < end) await seconds(0.02);
    else {
      child.kill("SIGKILL");
      throw new Error(`${command} did not start:\n${readFileSync(log, "utf8").slice(-2_000)}`);
    }
  }
  return stopped(child);
}

/** Whether somebody listens on a port. */
export function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  return new Promise((resolve) => {
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

/** Numbers its messages, counts what is confirmed and keeps the rest in flight; how a message is sent, its system says. */
export abstract class PeerPublisher implements Publisher {
  sent = 0;
  acknowledged = 0;
  fault: string | undefined;
  onAcknowledged: () => void = () => {};
  protected readonly options: PublisherOptions;
  #stopped = false;

  constructor(options: PublisherOptions) {
    this.options = options;
  }

  sendMore(count: number): void {
    if (count === 0 || this.#stopped) return;
    const first = this.sent + 1;
    this.sent += count;
    this.transmit(first, count);
  }

  stop(): void {
    this.#stopped = true;
  }

  abstract close(): void;

  /** Sends the messages of these numbers, as together as the system allows. */
  protected abstract transmit(first: number, count: number): void;

  /** Call when it may send. */
  protected begin(): this {
    this.sendMore(this.options.inFlight);
    return this;
  }

  protected confirmed(count: number): void {
    if (count === 0) return;
    this.acknowledged += count;
    this.onAcknowledged();
    if (this.options.inFlight > 0) this.sendMore(count);
  }

  protected failed(why: string): void {
    this.fault ??= why;
  }
}

/** Tells its sequence of each message, and its workload of each stretch that came together. */
export abstract class PeerSubscriber implements Subscriber {
  fault: string | undefined;
  onProgress: (first: number, count: number) => void = () => {};
  protected readonly options: SubscriberOptions;
  #first = 0;
  #count = 0;

  constructor(options: SubscriberOptions) {
    this.options = options;
  }

  abstract pause(): void;
  abstract resume(): void;
  abstract close(): void;

  protected get channels(): readonly string[] {
    const { channel } = this.options;
    return typeof channel === "string" ? [channel] : channel;
  }

  protected take(number: number): void {
    if (this.#count === 0) this.#first = number;
    this.#count++;
    this.options.sequence.take(number);
  }

  /** Call when all that came together was taken. */
  protected taken(): void {
    if (this.#count === 0) return;
    const count = this.#count;
    this.#count = 0;
    this.onProgress(this.#first, count);
  }

  protected failed(why: string): void {
    this.fault ??= why;
  }
}

/** A connection to a peer; `onFault` is told where it fails. */
export interface PeerSocket {
  onFault: (why: string) => void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** A publisher over one connection, whose faults are its own. */
export abstract class SocketPublisher<S extends PeerSocket> extends PeerPublisher {
  protected readonly socket: S;

  constructor(socket: S, options: PublisherOptions) {
    super(options);
    this.socket = socket;
    socket.onFault = (why) => this.failed(why);
  }

  close(): void {
    this.socket.close();
  }
}

/** A subscriber over one connection, whose faults are its own. */
export abstract class SocketSubscriber<S extends PeerSocket> extends PeerSubscriber {
  protected readonly socket: S;

  constructor(socket: S, options: SubscriberOptions) {
    super(options);
    this.socket = socket;
    socket.onFault = (why) => this.failed(why);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(): void {
    this.socket.close();
  }
}

/** What came of a stream of bytes and is not whole yet, put before what comes next. */
export class Remainder {
  #pieces: Buffer[] = [];
  #length = 0;
  #wanted = 0;

  /** All that can be looked at; undefined as long as the unit that was begun is not whole. */
  with(data: Buffer): Buffer | undefined {
    if (this.#length === 0) return data;
    this.#pieces.push(data);
    this.#length += data.length;
    if (this.#length < this.#wanted) return undefined;
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#length = 0;
    return whole;
  }

  /** Keeps what is left from here on; `wanted` is the length of the unit that begins here, where that is known. */
  keep(bytes: Buffer, from: number, wanted = 0): void {
    if (from === bytes.length) return;
    this.#pieces = [Buffer.from(bytes.subarray(from))];
    this.#length = bytes.length - from;
    this.#wanted = wanted;
  }
}
