/** A hub that is watched from outside: by what it says of itself, and by what the machine says of its process. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { storedBytes } from "../bench/measure.ts";

export type Leak = "memory" | "timers" | "descriptors";

export interface HubTask {
  readonly data: string;
  /** As its configuration file would say it. */
  readonly config: object;
  /** What the process leaks on purpose, beside the hub in it. */
  readonly leak: Leak | undefined;
}

/** What the hub's process says when it is asked. Memory is counted after a collection of garbage. */
export interface HubSample {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  /** Timers that are set. */
  readonly timers: number;
  /** How late the event loop was since the sample before: 99 of 100 times at most, and once. */
  readonly delayMs: number;
  readonly delayMsMax: number;
  /** All it counts, for Prometheus. */
  readonly metrics: string;
}

/** One look at everything that must not grow. Bytes, or how many. */
export interface Sample extends Omit<HubSample, "metrics"> {
  readonly sockets: number;
  /** Descriptors that are no sockets: of files, mostly. */
  readonly files: number;
  readonly stateBytes: number;
  readonly logBytes: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly members: number;
  readonly catchingUp: number;
  readonly outboxBytes: number;
}

export class SampledHub {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #data: string;

  static async start(program: string, task: HubTask): Promise<SampledHub> {
    const child = fork(program, [JSON.stringify(task)], { execArgv: ["--expose-gc"] });
    const ended = once(child, "exit").then(() => {
      throw new Error("The hub did not start.");
    });
    const [{ url }] = (await Promise.race([once(child, "message"), ended])) as [{ url: string }];
    ended.catch(() => {});
    return new SampledHub(url, child, task.data);
  }

  private constructor(url: string, child: ChildProcess, data: string) {
    this.url = url;
    this.#process = child;
    this.#data = data;
  }

  /** Why it ended, where it has. */
  get ended(): string | undefined {
    const { exitCode, signalCode } = this.#process;
    return exitCode === null && signalCode === null ? undefined : `The hub ended with ${exitCode ?? signalCode}.`;
  }

  async sample(): Promise<Sample> {
    this.#process.send("sample");
    const [{ metrics, ...said }] = (await once(this.#process, "message")) as [HubSample];
    const gauge = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1]);
    return {
      ...said,
      ...this.#descriptors(),
      stateBytes: storedBytes(join(this.#data, "state")),
      logBytes: storedBytes(join(this.#data, "logs")),
      sessions: gauge("dogear_sessions"),
      subscriptions: gauge("dogear_subscriptions"),
      members: gauge("dogear_members"),
      catchingUp: gauge("dogear_catching_up"),
      outboxBytes: gauge("dogear_outbox_bytes"),
    };
  }

  async stop(): Promise<void> {
    if (this.ended !== undefined) return;
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await exit;
  }

  #descriptors(): { sockets: number; files: number } {
    const folder = `/proc/${this.#process.pid}/fd`;
    const targets = readdirSync(folder).map((name) => targetOf(join(folder, name)));
    const sockets = targets.filter((target) => target?.startsWith("socket:")).length;
    return { sockets, files: targets.filter((target) => target !== undefined).length - sockets };
  }
}

/** What a descriptor leads to; nothing where it was closed a moment ago. */
function targetOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(descriptor);
  } catch {
    return undefined;
  }
}
