/**
 * Where the clients of a cluster's test are at home, and what can go wrong there.
 *
 *     clients ──► balancer ──► hubs, each a process ──► NATS nodes, each a process
 */
import { hubConfig } from "../crash/load.ts";
import { type Balancer, startBalancer } from "../support/balancer.ts";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { type NatsCluster, type NatsNode, startNatsCluster } from "../support/nats.ts";
import { temporaryFolder } from "../support/temp.ts";
import { until } from "../support/waiting.ts";

const nodeCount = 3;

/** The stream of the namespace that most of the load goes to. */
const stream = "dogear-log-default";

export interface ClusterSiteOptions {
  readonly hubs: number;
  readonly random: () => number;
}

export class ClusterSite {
  readonly cluster: NatsCluster;
  readonly hubs: readonly SiteHub[];
  readonly balancer: Balancer;
  readonly #random: () => number;

  static async start({ hubs: hubCount, random }: ClusterSiteOptions): Promise<ClusterSite> {
    const [cluster, balancer] = await Promise.all([startNatsCluster(nodeCount), startBalancer(random)]);
    const hubs = Array.from({ length: hubCount }, (_, i) => new SiteHub(`hub-${i + 1}`, cluster.url, balancer));
    await Promise.all(hubs.map((hub) => hub.start()));
    return new ClusterSite(cluster, hubs, balancer, random);
  }

  private constructor(cluster: NatsCluster, hubs: readonly SiteHub[], balancer: Balancer, random: () => number) {
    this.cluster = cluster;
    this.hubs = hubs;
    this.balancer = balancer;
    this.#random = random;
  }

  /** Where clients connect. */
  get url(): string {
    return this.balancer.url;
  }

  /** What hubs logged as errors, but for such as are expected. */
  get complaints(): string[] {
    return this.hubs.flatMap(({ complaints }) => complaints);
  }

  anyHub(): SiteHub {
    return this.hubs[Math.floor(this.#random() * this.hubs.length)] as SiteHub;
  }

  leader(): Promise<NatsNode> {
    return this.cluster.leaderOf(stream);
  }

  /** A node that does not lead the stream. */
  async follower(): Promise<NatsNode> {
    const leader = await this.leader();
    return this.cluster.nodes.find((node) => node !== leader) as NatsNode;
  }

  /** The hub that owns the group. */
  owner(group: string): Promise<SiteHub> {
    const look = async (): Promise<SiteHub | undefined> => {
      const owns = await Promise.all(this.hubs.map((hub) => hub.owns(group)));
      return this.hubs[owns.indexOf(true)];
    };
    return until(look, `a hub that owns ${group}`);
  }
}

/** That there is no log now, or that another hub has taken over, a hub copes with. */
const unexpected = /"level":"error"/;

/** A hub behind the balancer, in one life after another, always on the same port. */
export class SiteHub {
  readonly name: string;
  readonly #engine: string;
  readonly #balancer: Balancer;
  readonly #lives: HubProcess[] = [];
  #hub: HubProcess | undefined;

  constructor(name: string, engine: string, balancer: Balancer) {
    this.name = name;
    this.#engine = engine;
    this.#balancer = balancer;
  }

  get complaints(): string[] {
    const lines = this.#lives.flatMap(({ process }) => process.stderr.split("\n"));
    return lines.filter((line) => unexpected.test(line)).map((line) => `${this.name}: ${line}`);
  }

  /** Resolves when it listens. One that gives up is started again, as its service manager does. */
  async start(): Promise<void> {
    const options = { data: temporaryFolder(), config: hubConfig, args: ["--engine", this.#engine] };
    const start = () => startHubProcess({ ...options, port: this.#lives.at(-1)?.port ?? 0 });
    this.#hub = await start().catch(start);
    this.#lives.push(this.#hub);
    this.#balancer.admit(this.#hub.port);
  }

  /** Ends it, by default as a crash does. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const hub = this.#hub as HubProcess;
    this.#balancer.spare(hub.port);
    await hub.kill(signal);
    this.#hub = undefined;
  }

  /** Those who are connected stay so, and hear nothing. */
  freeze(): void {
    const { port, process } = this.#hub as HubProcess;
    this.#balancer.spare(port);
    process.signal("SIGSTOP");
  }

  thaw(): void {
    const { port, process } = this.#hub as HubProcess;
    process.signal("SIGCONT");
    this.#balancer.admit(port);
  }

  /** Whether it sees to the group, as far as it knows. */
  async owns(group: string): Promise<boolean> {
    if (this.#hub === undefined) return false;
    const answer = await fetch(`${this.#hub.url.replace("ws", "http")}/metrics`);
    return new RegExp(`^dogear_group_lag_messages{.*group="${group}"`, "m").test(await answer.text());
  }
}
