/**
 * The clients of a crash test, each a process with a history of its own. Where the hub is, or the hubs are, is not theirs
 * to know: they have a URL, and come back to it.
 */
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { Dogear } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import type { Durability, Epoch, Offset } from "@dogear/shared";
import { expect } from "vitest";
import { type HistoryEvent, HistoryWriter, readHistories } from "../checker/history.ts";
import { clientOf } from "../support/hub.ts";
import { type ChildProcess, startScript } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { until } from "../support/waiting.ts";
import {
  content,
  contentOf,
  crew,
  endChannels,
  endDraft,
  type PublisherTask,
  type SubscriberTask,
  subscribers,
} from "./load.ts";
import { buildScripts } from "./scripts.ts";

/** Messages that a newcomer is given before it is convinced that things go on. */
const progressCount = 50;

/** How long anything may take that is waited for; a fault may have to be noticed first. */
const patienceMs = 60_000;

export interface CastOptions {
  /** Where they connect. */
  readonly url: string;
  readonly random: () => number;
  readonly publishers: number;
  /** Drafts of each that wait for their answers. */
  readonly inFlight: number;
  /** The longest that publishers rest after each answer; by default they do not. */
  readonly restMsMax?: number;
  /** Publishers schedule as well, up to this long ahead; by default they do not. */
  readonly delayMsMax?: number;
}

/** One role, played by one process after another. */
interface Role {
  readonly script: "publisher" | "subscriber" | "worker";
  readonly name: string;
  readonly task: Partial<PublisherTask & SubscriberTask>;
  life: number;
  process: ChildProcess | undefined;
}

/** What a hub answers over HTTP: where the message is, or why it is not. */
interface OnceAnswer {
  readonly error?: { readonly code: string };
  readonly epoch: Epoch;
  readonly offset: Offset;
  readonly durability: Durability;
}

export class Cast {
  /** Processes that saw the end. */
  readonly finishers: string[] = [];
  /** What they wrote to standard error. */
  readonly complaints: string[] = [];
  readonly #folder = temporaryFolder();
  readonly #scripts: string;
  readonly #url: string;
  readonly #random: () => number;
  readonly #publishers: Role[];
  readonly #subscribers: Role[];
  readonly #workers: Role[];
  readonly #histories: string[] = [];
  /** What those said who ended and were not to. */
  readonly #deaths: string[] = [];

  static async start(options: CastOptions): Promise<Cast> {
    const cast = new Cast(await buildScripts("publisher", "subscriber", "worker"), options);
    const roles = [...cast.#publishers, ...cast.#subscribers, ...cast.#workers];
    await Promise.all(roles.map((role) => cast.#play(role)));
    return cast;
  }

  private constructor(scripts: string, { url, random, publishers, ...load }: CastOptions) {
    this.#scripts = scripts;
    this.#url = url;
    this.#random = random;
    this.#publishers = Array.from({ length: publishers }, (_, i) => {
      return { script: "publisher", name: `publisher-${i}`, task: load, life: 0, process: undefined };
    });
    this.#subscribers = subscribers.map(({ name, subscriber, patterns }) => {
      return { script: "subscriber", name, task: { subscriber, patterns }, life: 0, process: undefined };
    });
    this.#workers = Array.from({ length: crew.workers }, (_, i) => {
      return { script: "worker", name: `worker-${i}`, task: {}, life: 0, process: undefined };
    });
  }

  /** Resolves when a newcomer was given so much that things go on. */
  async progressed(): Promise<void> {
    const newcomer = clientOf(this.#url);
    let given = 0;
    newcomer.subscribe(">", { onGap: "continue" }, () => {
      given++;
    });
    const what = `${progressCount} messages that somebody publishes and a newcomer is given`;
    await this.#until(async () => given >= progressCount, what);
    await newcomer.close();
  }

  /** Resolves when workers have settled messages that were published after this was called. */
  async worked(): Promise<void> {
    const operator = admin(clientOf(this.#url));
    const report = () => operator.group(crew.options.group);
    const { newest } = (await operator.namespaces()).find(({ namespace }) => namespace === "default") ?? { newest: 0 };
    const moved = async () => (await report().catch(() => undefined))?.position.offset ?? 0;
    await this.#until(async () => (await moved()) > newest, `a group beyond ${newest}`);
  }

  /** Publishes as one who takes no for an answer. Resolves with the code of the error, where there is one. */
  async publishOnce(): Promise<string | undefined> {
    const [name, channel] = [`once-${this.#histories.length}`, "sensors.hall"];
    const history = new HistoryWriter(this.#newHistory(name), name);
    const data = { draft: name };
    history.write({ op: "publish", kind: "invoke", ...contentOf({ channel, data, options: {} }) });
    const [body, headers] = [JSON.stringify(data), { "content-type": "application/json" }];
    const answer = await fetch(`${this.#url.replace("ws", "http")}/publish/${channel}`, {
      method: "POST",
      headers,
      body,
    });
    const { error, epoch, offset, durability } = (await answer.json()) as OnceAnswer;
    if (error === undefined) history.write({ op: "publish", kind: "ok", draft: name, epoch, offset, durability });
    else history.write({ op: "publish", kind: "info", draft: name, error: error.code });
    history.close();
    return error?.code;
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
    await this.#delivered();
    await this.#publishEnds();
    await this.#caughtUp();
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
  }

  /** Reads all there is as a newcomer, into a history of its own. */
  async readAll(): Promise<void> {
    const history = new HistoryWriter(this.#newHistory("reader"), "reader");
    const reader = clientOf(this.#url);
    for (const pattern of [">", "metrics.>"]) {
      for await (const message of reader.subscribe(pattern, { from: "earliest" })) {
        const { epoch, offset, key } = message;
        history.write({ op: "read", kind: "ok", epoch, offset, key, ...content(message) });
        if (message.headers?.end) break;
      }
    }
    await this.#readDeadLetters(reader, history);
    history.close();
  }

  history(): HistoryEvent[] {
    return readHistories(this.#histories);
  }

  /** Resolves when nothing waits for its time any more. */
  async #delivered(): Promise<void> {
    const waiting = new Set<string>();
    for (const event of this.history()) if (event.op === "schedule" && event.kind === "ok") waiting.add(event.draft);
    const reader = clientOf(this.#url);
    for (const pattern of [">", "metrics.>"])
      reader.subscribe(pattern, { from: "earliest" }, (message) => void waiting.delete(content(message).draft));
    await this.#until(async () => waiting.size === 0, "all drafts that were scheduled, delivered");
    // What a publisher scheduled that was killed before it knew.
    const count = async () => (await admin(reader).namespaces()).reduce((sum, { scheduled }) => sum + scheduled, 0);
    await this.#until(async () => (await count()) === 0, "a hub where nothing is scheduled");
    await reader.close();
  }

  /** Resolves when every cursor is at the end. On a fast disk much is published, so it takes as long as it gets less. */
  async #caughtUp(): Promise<void> {
    const operator = admin(clientOf(this.#url));
    const lag = async () => {
      let messages = 0;
      for await (const cursor of operator.allCursors()) messages += cursor.lag.messages;
      return messages;
    };
    for (let left = await lag(), next = left; left > 0; left = next) {
      const isLess = async () => {
        next = await lag();
        return next < left;
      };
      await this.#until(isLess, `subscribers that have less than ${left} messages before them`);
    }
  }

  /** What the group gave up. */
  async #readDeadLetters(reader: Dogear, history: HistoryWriter): Promise<void> {
    let { dead: left } = await admin(reader).group(crew.options.group);
    if (left === 0) return;
    for await (const { headers = {} } of reader.subscribe(crew.deadChannel, { from: "earliest" })) {
      history.write({
        op: "read-dead",
        kind: "ok",
        group: headers["dogear-group"] as string,
        about: Number(headers["dogear-offset"]) as Offset,
        reason: headers["dogear-reason"] as string,
      });
      if (--left === 0) break;
    }
  }

  /** Resolves when the group has settled everything. */
  async #settled(): Promise<void> {
    const operator = admin(clientOf(this.#url));
    const isSettled = async () => (await operator.group(crew.options.group)).lag.messages === 0;
    await this.#until(isSettled, "a group that has settled everything");
  }

  /** Waits for something that cannot come once somebody is missing. */
  async #until(holds: () => Promise<boolean>, what: string): Promise<void> {
    const look = async () => {
      if (this.#deaths.length > 0) throw new Error(this.#deaths.join("\n"));
      return holds();
    };
    await until(look, what, patienceMs);
  }

  async #restart(roles: readonly Role[]): Promise<void> {
    const role = roles[Math.floor(this.#random() * roles.length)] as Role;
    await role.process?.kill("SIGKILL");
    await this.#play(role);
  }

  async #play(role: Role): Promise<void> {
    const process = `${role.name}#${++role.life}`;
    const task = { url: this.#url, process, history: this.#newHistory(process), seed: this.#random() * 2 ** 32 };
    const script = join(this.#scripts, `${role.script}.js`);
    const started = startScript(script, [JSON.stringify({ ...task, ...role.task })]);
    role.process = started;
    void started.exited.then(({ code }) => {
      if (code !== null && code !== 0) this.#deaths.push(`${process} ended: ${started.stderr}`);
    });
    await started.untilLine(/^started$/);
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
    const closer = clientOf(this.#url);
    for (const draft of endChannels.map(endDraft)) {
      const content = contentOf(draft);
      history.write({ op: "publish", kind: "invoke", ...content });
      const { epoch, offset, durability } = await closer.publish(draft.channel, draft.data, draft.options);
      history.write({ op: "publish", kind: "ok", draft: content.draft, epoch, offset, durability });
    }
    history.close();
  }

  #newHistory(process: string): string {
    const file = join(this.#folder, process);
    this.#histories.push(file);
    return file;
  }
}
