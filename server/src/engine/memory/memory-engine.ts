/** The engine that keeps nothing: logs and state live as long as the process. Several hubs may share it. */
import type { Chance, Clock } from "../../runtime/clock.ts";
import { type Logger, silentLogger } from "../../runtime/logger.ts";
import type { Engine, Health, Log, NamespacePolicy, State } from "../engine.ts";
import { MemoryLog, type MemoryLogParts } from "./memory-log.ts";
import { Exchange, type MemoryPeers } from "./memory-peers.ts";
import { MemoryState } from "./memory-state.ts";

/** What the hubs on one engine share. */
interface Shared {
  readonly state: MemoryState;
  readonly logs: Map<string, MemoryLog>;
  readonly exchange: Exchange;
}

export class MemoryEngine implements Engine {
  readonly state: State;
  readonly peers: MemoryPeers;
  readonly #parts: MemoryLogParts;
  readonly #shared: Shared;

  constructor(parts: { readonly clock: Clock; readonly chance: Chance; readonly logger?: Logger }, shared?: Shared) {
    this.#parts = { logger: silentLogger, ...parts };
    this.#shared = shared ?? { state: new MemoryState(), logs: new Map(), exchange: new Exchange(parts.clock) };
    this.state = this.#shared.state;
    this.peers = this.#shared.exchange.enter(parts.chance);
  }

  /** The engine of another hub, with the same logs and the same state. */
  another(): MemoryEngine {
    return new MemoryEngine(this.#parts, this.#shared);
  }

  /** Makes the hub of this engine one that others do not hear of, nor it of them; or undoes it. */
  silence(silent: boolean): void {
    this.#shared.exchange.silence(this.peers.self, silent);
  }

  async open(policy: NamespacePolicy): Promise<Log> {
    const { logs } = this.#shared;
    let log = logs.get(policy.namespace);
    if (log === undefined) {
      log = new MemoryLog(policy, this.#parts);
      logs.set(policy.namespace, log);
    }
    return log;
  }

  health(): Health {
    return { writable: true, freeBytes: undefined };
  }

  async close(): Promise<void> {
    this.#shared.exchange.leave(this.peers.self);
    if (this.peers.others.length > 0) return;
    await Promise.all([...this.#shared.logs.values()].map((log) => log.close()));
  }
}
