/** The engine that keeps nothing: logs and state live as long as the process. */
import type { Chance, Clock } from "../../runtime/clock.ts";
import { type Logger, silentLogger } from "../../runtime/logger.ts";
import type { Engine, Health, Log, NamespacePolicy, State } from "../engine.ts";
import { MemoryLog, type MemoryLogParts } from "./memory-log.ts";
import { MemoryState } from "./memory-state.ts";

export class MemoryEngine implements Engine {
  readonly state: State = new MemoryState();
  readonly #logs: MemoryLog[] = [];
  readonly #parts: MemoryLogParts;

  constructor(parts: { readonly clock: Clock; readonly chance: Chance; readonly logger?: Logger }) {
    this.#parts = { logger: silentLogger, ...parts };
  }

  async open(policy: NamespacePolicy): Promise<Log> {
    const log = new MemoryLog(policy, this.#parts);
    this.#logs.push(log);
    return log;
  }

  health(): Health {
    return { writable: true, freeBytes: undefined };
  }

  async close(): Promise<void> {
    await Promise.all(this.#logs.map((log) => log.close()));
  }
}
