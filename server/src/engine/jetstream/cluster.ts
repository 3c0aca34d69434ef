/**
 * The connection to the NATS servers whose JetStream holds logs and state, and whether it can be used now: connected, to
 * a server that is new enough, with a JetStream that answers.
 */
import { readFile } from "node:fs/promises";
import { type DogearError, dogearError } from "@dogear/shared";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import {
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Health } from "../engine.ts";
import { translated } from "./failures.ts";

export interface JetStreamSettings {
  /** Where NATS listens: `nats://a:4222`. One is enough, the others are learned from it. */
  readonly servers: readonly string[];
  /** What every name begins with: hubs of the same prefix are hubs of the same logs. */
  readonly prefix: string;
  /** How many servers keep each log and the state. */
  readonly replicas: number;
  /** Where servers can be asked about themselves, `http://a:8222`. */
  readonly monitors: readonly string[];
  readonly credentialsFile?: string | undefined;
  /** Who the hub is, where no file says it. */
  readonly login?: { readonly user: string; readonly password: string } | { readonly token: string } | undefined;
  readonly tls?:
    | {
        readonly caFile?: string | undefined;
        readonly certificateFile?: string | undefined;
        readonly keyFile?: string | undefined;
      }
    | undefined;
}

export interface ClusterParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The first version that stores several messages together or not at all, which a group commit relies on. */
export const serverVersionMin = "2.12.0";
const apiLevelMin = 2;

/** How long a request may take. */
export const requestTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
/** How long a leader is given to answer what it is asked, and how often it is asked. */
export const askTimeoutMs = 1_500;
const asksMax = 3;
const reconnectMs = 250;
/** A server that stands still is left when it has not answered twice. */
const pingIntervalMs = 2_000;
const lookIntervalMs = 2_000;

export class Cluster {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  /** For what is asked by `ask`. */
  readonly asking: JetStreamManager;
  readonly settings: JetStreamSettings;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reconnected = new Set<() => void>();
  #connected = true;
  #payloadBytesMax = 0;
  /** Why the server is not used although it is there. */
  #refusal: DogearError | undefined;
  /** Whether JetStream answered when it was last looked at. */
  #answers = true;
  #freeBytes = Number.POSITIVE_INFINITY;
  #cancelLook = () => {};
  #closed = false;

  /** Connects, and refuses servers that are too old or have no JetStream, saying so. */
  static async open(settings: JetStreamSettings, parts: ClusterParts): Promise<Cluster> {
    const connection = await connected(settings);
    try {
      const jsm = await jetstreamManager(connection, { timeout: requestTimeoutMs, checkAPI: false });
      const asking = await jetstreamManager(connection, { timeout: askTimeoutMs, checkAPI: false });
      const cluster = new Cluster(settings, parts, connection, { jsm, asking });
      cluster.#checkServer();
      if (cluster.#refusal !== undefined) throw cluster.#refusal;
      await cluster.#checkJetStream();
      void cluster.#watchConnection();
      cluster.#lookLater();
      return cluster;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  private constructor(
    settings: JetStreamSettings,
    { clock, logger }: ClusterParts,
    connection: NatsConnection,
    { jsm, asking }: Pick<Cluster, "jsm" | "asking">,
  ) {
    this.settings = settings;
    this.#clock = clock;
    this.#logger = logger;
    this.connection = connection;
    this.jsm = jsm;
    this.asking = asking;
  }

  health(): Health {
    return { writable: this.#connected && this.#refusal === undefined && this.#answers, freeBytes: this.#freeBytes };
  }

  /** Whether there is a connection now. Without one nothing is heard of anybody. */
  get connected(): boolean {
    return this.#connected;
  }

  /** The most bytes a message may have with its headers: what the server said that was connected to last. */
  get payloadBytesMax(): number {
    return this.#payloadBytesMax;
  }

  /** Throws where writing would be of no use, or wrong. */
  checkWritable(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (!this.#connected) throw dogearError("unavailable", "There is no connection to NATS.");
  }

  /** Calls each time the connection is there again; the function returned ends that. */
  onReconnect(call: () => void): () => void {
    this.#reconnected.add(call);
    return () => this.#reconnected.delete(call);
  }

  /**
   * Asks a leader something that changes nothing. While a leader is elected nobody hears what is asked, and nobody says so:
   * it is asked again.
   */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    for (let asks = 1; ; asks++) {
      try {
        return await question();
      } catch (error) {
        if (asks === asksMax || !(error instanceof errors.TimeoutError)) throw translated(error);
      }
    }
  }

  /** Does something with NATS, and says in the words of the seam where that did not work. */
  async attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translated(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connected = false;
    this.#cancelLook();
    await this.connection.close();
  }

  /** Learns what the server connected to says of itself. */
  #checkServer(): void {
    const { version = "unknown", max_payload = this.#payloadBytesMax } = this.connection.info ?? {};
    this.#payloadBytesMax = max_payload;
    this.#refusal = isAtLeast(version, serverVersionMin)
      ? undefined
      : dogearError(
          "unavailable",
          `Dogear needs nats-server ${serverVersionMin} or newer; ${this.connection.getServer()} is ${version}.`,
        );
  }

  /** The servers that JetStream runs on may be others than the one connected to. */
  async #checkJetStream(): Promise<void> {
    const account = await this.#look().catch((error: unknown) => {
      throw dogearError(
        "unavailable",
        "JetStream does not answer: is it enabled on the servers, and for the account?",
        {
          cause: error,
        },
      );
    });
    if (account.level < apiLevelMin) {
      const detail = `Dogear needs JetStream's API level ${apiLevelMin} (nats-server ${serverVersionMin}); it is ${account.level}.`;
      throw dogearError("unavailable", detail);
    }
  }

  async #look(): Promise<{ readonly level: number }> {
    const { api, limits, storage } = await this.jsm.getAccountInfo();
    const free = limits.max_storage - storage;
    this.#freeBytes = limits.max_storage > 0 ? Math.max(0, free) : Number.POSITIVE_INFINITY;
    return { level: (api as { level?: number }).level ?? 0 };
  }

  #lookLater(): void {
    this.#cancelLook = this.#clock.after(lookIntervalMs, async () => {
      await this.#look().then(
        () => this.#found(true),
        (error: unknown) => this.#found(false, error),
      );
      if (!this.#closed) this.#lookLater();
    });
  }

  #found(answers: boolean, error?: unknown): void {
    if (this.#closed || answers === this.#answers) return;
    this.#answers = answers;
    if (answers) this.#logger.info("nats.jetstream-answers");
    else this.#logger.warn("nats.jetstream-does-not-answer", { error });
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === "disconnect" && !this.#closed) {
        this.#connected = false;
        this.#logger.warn("nats.disconnected", { server: this.connection.getServer() });
      }
      if (type === "reconnect") this.#resume();
    }
  }

  #resume(): void {
    this.#connected = true;
    this.#checkServer();
    const server = this.connection.getServer();
    if (this.#refusal === undefined) this.#logger.info("nats.reconnected", { server });
    else this.#logger.error("nats.server-too-old", { server, error: this.#refusal });
    for (const call of this.#reconnected) call();
  }
}

async function connected(settings: JetStreamSettings): Promise<NatsConnection> {
  const { servers, credentialsFile, login, tls } = settings;
  const options: NodeConnectionOptions = {
    name: "dogear",
    servers: [...servers],
    timeout: connectTimeoutMs,
    // A cluster that is away for an hour is used again when it is back.
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: reconnectMs,
    reconnectJitter: reconnectMs,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    noAsyncTraces: true,
  };
  if (credentialsFile !== undefined) options.authenticator = credsAuthenticator(await readFile(credentialsFile));
  if (login !== undefined)
    Object.assign(options, "token" in login ? login : { user: login.user, pass: login.password });
  if (tls !== undefined) {
    options.tls = {
      ...(tls.caFile !== undefined && { caFile: tls.caFile }),
      ...(tls.certificateFile !== undefined && { certFile: tls.certificateFile }),
      ...(tls.keyFile !== undefined && { keyFile: tls.keyFile }),
    };
  }
  try {
    return await connect(options);
  } catch (error) {
    const where = servers.join(", ");
    const isRefused = error instanceof errors.AuthorizationError;
    const detail = isRefused ? `NATS does not let this hub in at ${where}.` : `NATS does not answer at ${where}.`;
    throw dogearError("unavailable", detail, { cause: error });
  }
}

/** Compares versions by their numbers; `2.12.0-preview.1` counts as 2.12.0. */
function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const [found, needed] = [numbers(version), numbers(least)];
  for (let i = 0; i < 3; i++) {
    const difference = (found[i] ?? 0) - (needed[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
