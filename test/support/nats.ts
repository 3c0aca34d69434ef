/**
 * Real nats-servers for tests, alone or three in a cluster, with the configuration of `deploy/nats.conf`: started, killed,
 * frozen, emptied and started again, and never left behind.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { adapted } from "./deploy-files.ts";
import { isExecutable, missing } from "./machine.ts";
import { freePorts } from "./ports.ts";
import { ChildProcess, type Exit } from "./process.ts";
import { temporaryFolder, whenDoneHere } from "./temp.ts";
import { until } from "./waiting.ts";

/** Older ones have no atomic batches. */
const versionMin = [2, 12] as const;

/** Where nats-server is: `NATS_SERVER`, or else one on the `PATH` that is new enough; nothing after a word about it. */
export const natsServer: string | undefined = find();

export interface NatsOptions {
  /** Whether what is stored is flushed before it is confirmed, as deploy/nats.conf says; by default it is not. */
  readonly syncAlways?: boolean;
  /** More of its configuration. */
  readonly config?: string;
}

export interface NatsCluster {
  readonly nodes: readonly NatsNode[];
  /** All of them, with commas between. */
  readonly url: string;
  /** Resolves when every node that runs says it is well: it has a leader, and all of what it keeps. */
  ready(): Promise<void>;
  /** The node that leads a stream, and says so itself. */
  leaderOf(stream: string): Promise<NatsNode>;
}

/** What differs from node to node. */
export interface NatsPlace {
  readonly name: string;
  readonly config: string;
  readonly store: string;
  readonly address: string;
  readonly port: number;
  /** Where it listens for the others, and where all of them are; nothing where there are none. */
  readonly cluster?: { readonly url: string; readonly routes: readonly string[] };
}

/** The command line of a node, as compose.yaml has it. */
export function natsArguments({ name, config, store, address, port, cluster }: NatsPlace): string[] {
  return [
    `--config=${config}`,
    `--name=${name}`,
    `--store_dir=${store}`,
    `--addr=${address}`,
    `--port=${port}`,
    ...(cluster ? [`--cluster=${cluster.url}`, `--routes=${cluster.routes.join(",")}`] : []),
  ];
}

/** Starts a server and waits until it can be used. */
export async function startNats(options: NatsOptions = {}): Promise<NatsNode> {
  const [port, monitor] = (await freePorts(2)) as [number, number];
  const node = new NatsNode({ name: "nats-1", port, monitor, config: configFile(options) });
  await node.start();
  await node.ready();
  return node;
}

/** Starts servers that form a cluster and waits until it can be used. */
export async function startNatsCluster(count: number, options: NatsOptions = {}): Promise<NatsCluster> {
  const ports = await freePorts(3 * count);
  const routePorts = ports.slice(0, count);
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`);
  const config = configFile(options);
  const nodes = routes.map((url, i) => {
    const [port, monitor] = ports.slice(count + 2 * i) as [number, number];
    return new NatsNode({ name: `nats-${i + 1}`, port, monitor, config, cluster: { url, routes } });
  });
  await Promise.all(nodes.map((node) => node.start()));
  const cluster = {
    nodes,
    url: nodes.map(({ url }) => url).join(","),
    ready: async () => void (await Promise.all(nodes.filter(({ runs }) => runs).map((node) => node.ready()))),
    leaderOf: (stream: string) => until(() => leaderAmong(nodes, stream), `a leader of ${stream}`),
  };
  await cluster.ready();
  await until(() => whole(nodes), "a cluster that knows all of its nodes");
  return cluster;
}

interface NatsNodeParts extends Omit<NatsPlace, "store" | "address"> {
  readonly monitor: number;
}

export class NatsNode {
  readonly name: string;
  readonly url: string;
  /** Where it tells how it is. */
  readonly monitor: string;
  readonly #args: readonly string[];
  readonly #store = temporaryFolder();
  /** A node that several tests share is not to end with the one that starts it again. */
  readonly #whenDone = whenDoneHere();
  #process: ChildProcess | undefined;
  #frozen = false;

  constructor({ monitor, ...place }: NatsNodeParts) {
    this.name = place.name;
    this.url = `nats://127.0.0.1:${place.port}`;
    this.monitor = `http://127.0.0.1:${monitor}`;
    const here = natsArguments({ ...place, store: this.#store, address: "127.0.0.1" });
    this.#args = [...here, `--http_port=${monitor}`];
  }

  /** Whether it is started and not frozen. */
  get runs(): boolean {
    return this.#process !== undefined && !this.#frozen;
  }

  /** Starts it, where it was before and with what it had kept, and waits until clients can connect to it. */
  async start(): Promise<void> {
    this.#process = new ChildProcess(natsServer ?? "nats-server", this.#args, { whenDone: this.#whenDone });
    await this.#process.untilLine(/Server is ready/);
  }

  /** Resolves when it says that it is well: JetStream can be used, and has a leader. */
  async ready(): Promise<void> {
    await until(async () => (await this.look("healthz")) !== undefined, `${this.name} that is well`);
  }

  /** Ends it as a crash does. */
  kill(): Promise<Exit | undefined> {
    return this.#end("SIGKILL");
  }

  /** Ends it in good order. */
  stop(): Promise<Exit | undefined> {
    return this.#end("SIGTERM");
  }

  freeze(): void {
    this.#process?.signal("SIGSTOP");
    this.#frozen = true;
  }

  thaw(): void {
    this.#process?.signal("SIGCONT");
    this.#frozen = false;
  }

  /** Takes away what it had kept; it is to be stopped. */
  empty(): void {
    rmSync(this.#store, { recursive: true, force: true });
  }

  /** What it tells at a path of its monitoring port; nothing where it is not well or does not answer. */
  async look(path: string): Promise<unknown> {
    try {
      const answer = await fetch(`${this.monitor}/${path}`, { signal: AbortSignal.timeout(lookTimeoutMs) });
      return answer.ok ? await answer.json() : undefined;
    } catch {
      return undefined;
    }
  }

  async #end(signal: NodeJS.Signals): Promise<Exit | undefined> {
    const ended = await this.#process?.kill(signal);
    this.#process = undefined;
    this.#frozen = false;
    return ended;
  }
}

/** A node that is busy may take a while, and one that is frozen never answers. */
const lookTimeoutMs = 2_000;

/** What /jsz tells, as far as it is looked at here. */
interface JetStreamReport {
  readonly meta_cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
  };
  readonly account_details?: readonly {
    readonly stream_detail?: readonly { readonly name: string; readonly cluster?: { readonly leader?: string } }[];
  }[];
}

/** Whether the leader knows all of them, and they have what it has. */
async function whole(nodes: readonly NatsNode[]): Promise<boolean> {
  const reports = await Promise.all(nodes.map((node) => node.look("jsz") as Promise<JetStreamReport | undefined>));
  return reports.some((report, i) => {
    const { leader, replicas = [] } = report?.meta_cluster ?? {};
    const present = replicas.filter(({ current, offline }) => current && !offline);
    return leader === nodes[i]?.name && present.length === nodes.length - 1;
  });
}

async function leaderAmong(nodes: readonly NatsNode[], stream: string): Promise<NatsNode | undefined> {
  const leads = async (node: NatsNode): Promise<boolean> => {
    const report = (await node.look("jsz?streams=1")) as JetStreamReport | undefined;
    const streams = (report?.account_details ?? []).flatMap(({ stream_detail = [] }) => stream_detail);
    return streams.some(({ name, cluster }) => name === stream && cluster?.leader === node.name);
  };
  const running = nodes.filter(({ runs }) => runs);
  const answers = await Promise.all(running.map(leads));
  return running[answers.indexOf(true)];
}

function configFile({ syncAlways = false, config = "" }: NatsOptions): string {
  const file = adapted("nats.conf", syncAlways ? {} : { "sync_interval: always": 'sync_interval: "2m"' });
  appendFileSync(file, config);
  return file;
}

function find(): string | undefined {
  const named = process.env.NATS_SERVER;
  const folders = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "nats-server"));
  const found = (named ? [named] : folders).find((path) => isExecutable(path) && isNewEnough(path));
  if (found !== undefined) return found;
  return missing(
    `${named || "nats-server"} was not found, or is older than ${versionMin.join(".")}. What needs it is skipped. ` +
      "To get it: go install github.com/nats-io/nats-server/v2@latest",
  );
}

function isNewEnough(path: string): boolean {
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const [, major = 0, minor = 0] = stdout?.match(/v(\d+)\.(\d+)/)?.map(Number) ?? [];
  const [majorMin, minorMin] = versionMin;
  return major > majorMin || (major === majorMin && minor >= minorMin);
}
