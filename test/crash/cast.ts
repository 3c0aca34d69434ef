/** Everyone in the crash test: the hub and its clients, each a process, and the test's own eyes on them. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after, setImmediate as turn } from "node:timers/promises";
import { admin } from "@dogear/client/admin";
import type { Offset } from "@dogear/shared";
import { build } from "esbuild";
import { expect } from "vitest";
import type { LoggedMessage } from "../support/checker.ts";
import type { DeadLetter } from "../support/group-checker.ts";
import { type HistoryEvent, HistoryWriter, readHistories } from "../support/history.ts";
import { clientOf } from "../support/hub.ts";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { type ChildProcess, startScript } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import {
  content,
  contentOf,
  crew,
  endChannels,
  endDraft,
  hubConfig,
  type PublisherTask,
  type SubscriberTask,
  subscribers,
} from "./load.ts";

const publisherCount = 4;
const inFlight = 50;

/** Messages that were published since the hub came back, before it is killed again. */
const progressCount = 50;

/** One role, played by one process after another. */
interface Role {
  readonly script: "publisher" | "subscriber" | "worker";
  readonly name: string;
  readonly task: Partial<PublisherTask & SubscriberTask>;
  life: number;
  process: ChildProcess | undefined;
}

export class Cast {
  /** Processes that saw the end. */
  readonly finishers: string[] = [];
  /** What hubs logged as errors, and what clients wrote to standard error. */
  readonly complaints: string[] = [];
  readonly #folder = temporaryFolder();
  readonly #scripts: string;
  readonly #data: string;
  readonly #random: () => number;
  readonly #publishers: Role[];
  readonly #subscribers: Role[];
  readonly #workers: Role[];
  readonly #histories: string[] = [];
  readonly #progress = new Collected<void>();
  #hub: HubProcess;

  static async start(random: () => number): Promise<Cast> {
    const scripts = await bundle();
    const data = join(temporaryFolder(), "data");
    const cast = new Cast(scripts, await startHubProcess({ data, config: hubConfig }), data, random);
    cast.#watch();
    const roles = [...cast.#publishers, ...cast.#subscribers, ...cast.#workers];
    await Promise.all(roles.map((role) => cast.#play(role)));
    return cast;
  }

  private constructor(scripts: string, hub: HubProcess, data: string, random: () => number) {
    this.#scripts = scripts;
    this.#hub = hub;
    this.#data = data;
    this.#random = random;
    this.#publishers = Array.from({ length: publisherCount }, (_, i) => {
      return { script: "publisher", name: `publisher-${i}`, task: { inFlight }, life: 0, process: undefined };
    });
    this.#subscribers = subscribers.map(({ name, subscriber, patterns }) => {
      return { script: "subscriber", name, task: { subscriber, patterns }, life: 0, process: undefined };
    });
    this.#workers = Array.from({ length: crew.workers }, (_, i) => {
      return { script: "worker", name: `worker-${i}`, task: {}, life: 0, process: undefined };
    });
  }

  /** Resolves when more has been published since the hub came back. */
  async progressed(): Promise<void> {
    await this.#progress.reach(this.#progress.items.length + progressCount);
  }

  /** Ends the hub and starts its successor on the same port and data; resolves when that listens. */
  async restartHub(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await this.#hub.kill(signal);
    this.#listenForComplaints();
    this.#hub = await startHubProcess({ data: this.#data, port: this.#hub.port, config: hubConfig });
  }

  async restartPublisher(): Promise<void> {
    await this.#restart(this.#publishers);
  }

  async restartSubscriber(): Promise<void> {
    await this.#restart(this.#subscribers);
  }

  async restartWorker(): Promise<void> {
    await this.#restart(this.#workers);
  }

  /** Freezes a worker for longer than its leases last. When it goes on it settles what others have by then. */
  async freezeWorker(): Promise<void> {
    const { process } = this.#workers[Math.floor(this.#random() * this.#workers.length)] as Role;
    process?.signal("SIGSTOP");
    await after(1.5 * crew.options.leaseMs);
    process?.signal("SIGCONT");
  }

  /** Lets the publishers finish, waits until everybody has everything, and lets them go. */
  async finish(): Promise<void> {
    await Promise.all(this.#publishers.map((role) => this.#leave(role)));
    await this.#publishEnds();
    await Promise.all(
      this.#subscribers.map(async (role) => {
        for (const pattern of role.task.patterns ?? []) {
          await role.process?.untilLine(new RegExp(`^end of ${pattern.replaceAll(/[.*]/g, "\\$&")}$`));
        }
        await this.#leave(role);
      }),
    );
    await this.#settled();
    await Promise.all(this.#workers.map((role) => this.#leave(role)));
    this.#listenForComplaints();
  }

  /** What the group gave up. */
  async readDeadLetters(): Promise<DeadLetter[]> {
    const reader = clientOf(this.#hub.url);
    const { dead } = await admin(reader).group(crew.options.group);
    const letters: DeadLetter[] = [];
    if (dead === 0) return letters;
    for await (const { headers = {} } of reader.subscribe(crew.deadChannel, { from: "earliest" })) {
      const group = headers["dogear-group"] as string;
      letters.push({
        group,
        about: Number(headers["dogear-offset"]) as Offset,
        reason: headers["dogear-reason"] as string,
      });
      if (letters.length === dead) break;
    }
    return letters;
  }

  /** All there is, read by a newcomer. */
  async readLog(): Promise<LoggedMessage[]> {
    const reader = clientOf(this.#hub.url);
    const logs = [">", "metrics.>"].map(async (pattern) => {
      const log: LoggedMessage[] = [];
      for await (const message of reader.subscribe(pattern, { from: "earliest" })) {
        log.push({ epoch: message.epoch, offset: message.offset, ...content(message) });
        if (message.headers?.end) break;
      }
      return log;
    });
    return (await Promise.all(logs)).flat();
  }

  history(): HistoryEvent[] {
    return readHistories(this.#histories);
  }

  /** Counts what is published after each of the hub's starts. */
  #watch(): void {
    let head = 0;
    const watch = clientOf(this.#hub.url).subscribe(">", { onGap: "continue" }, ({ offset }) => {
      if (offset > head) this.#progress.add();
    });
    watch.addEventListener("subscribed", ({ detail }) => {
      head = detail.head;
    });
  }

  /** Resolves when the group has settled everything. */
  async #settled(): Promise<void> {
    const operator = admin(clientOf(this.#hub.url));
    while ((await operator.group(crew.options.group)).lag.messages > 0) await turn();
  }

  async #restart(roles: readonly Role[]): Promise<void> {
    const role = roles[Math.floor(this.#random() * roles.length)] as Role;
    await role.process?.kill("SIGKILL");
    await this.#play(role);
  }

  async #play(role: Role): Promise<void> {
    const process = `${role.name}#${++role.life}`;
    const task = { url: this.#hub.url, process, history: this.#newHistory(process), seed: this.#random() * 2 ** 32 };
    const script = join(this.#scripts, `${role.script}.js`);
    role.process = startScript(script, [JSON.stringify({ ...task, ...role.task })]);
    await role.process.untilLine(/^started$/);
  }

  /** Asks a process to end, which it does when it has done its work. */
  async #leave({ name, life, process }: Role): Promise<void> {
    const exit = await process?.kill("SIGTERM");
    expect(exit, `${name}: ${process?.stderr}`).toEqual({ code: 0, signal: null });
    if (process?.stderr) this.complaints.push(`${name}: ${process.stderr}`);
    this.finishers.push(`${name}#${life}`);
  }

  async #publishEnds(): Promise<void> {
    const history = new HistoryWriter(this.#newHistory("closer"), "closer");
    const closer = clientOf(this.#hub.url);
    for (const draft of endChannels.map(endDraft)) {
      const content = contentOf(draft);
      history.write({ op: "publish", kind: "invoke", ...content });
      const { epoch, offset } = await closer.publish(draft.channel, draft.data, draft.options);
      history.write({ op: "publish", kind: "ok", draft: content.draft, epoch, offset });
    }
    history.close();
  }

  #newHistory(process: string): string {
    const file = join(this.#folder, process);
    this.#histories.push(file);
    return file;
  }

  #listenForComplaints(): void {
    const { stderr } = this.#hub.process;
    this.complaints.push(
      ...stderr.split("\n").filter((line) => /"level":"(error|warn)"(?!.*"access\.none")/.test(line)),
    );
  }
}

/** Built from the sources, beside the packages that the scripts import as any user's would. */
async function bundle(): Promise<string> {
  const dist = join(repository, "test/dist");
  mkdirSync(dist, { recursive: true });
  const outdir = mkdtempSync(join(dist, "crash-"));
  whenDone(() => rmSync(outdir, { recursive: true, force: true }));
  const entryPoints = ["publisher", "subscriber", "worker"].map((name) => join(repository, `test/crash/${name}.ts`));
  await build({ entryPoints, outdir, bundle: true, platform: "node", format: "esm", packages: "external" });
  return outdir;
}
