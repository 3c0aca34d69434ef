/**
 * The embedded engine: state in LMDB and logs in files, in one folder.
 *
 *     <data>/lock.sock                        who has it open
 *     <data>/state/                           cursors and groups, and the catalog of every log
 *     <data>/logs/<namespace>/<first offset>/ the segments of a log
 */
import { join } from "node:path";
import type { Chance, Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import { alone } from "../alone.ts";
import type { Engine, Health, Log, NamespacePolicy, Peers } from "../engine.ts";
import { MemoryLog } from "../memory/memory-log.ts";
import { Catalog } from "./catalog.ts";
import { closeEnvironment, type Environment, openEnvironment, readingFrom } from "./environment.ts";
import { FileLog } from "./file-log.ts";
import { makeFolder } from "./folder.ts";
import { LmdbState } from "./lmdb-state.ts";
import { DataLock } from "./lock.ts";
import { Records } from "./records.ts";
import { diskFreeBytes, type FreeBytes, Room } from "./room.ts";
import { Trouble } from "./trouble.ts";

export interface LmdbEngineParts {
  /** The folder of the data, created where it is missing. */
  readonly data: string;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Called with an error after which the disk is not to be trusted. The process must stop. */
  readonly fatal: (error: unknown) => void;
  /** How much the disk has left, where it is not the disk that is asked. */
  readonly freeBytes?: FreeBytes;
}

export class LmdbEngine implements Engine {
  readonly state: LmdbState;
  readonly peers: Peers = alone;
  readonly #parts: LmdbEngineParts;
  readonly #lock: DataLock;
  readonly #environment: Environment;
  readonly #room: Room;
  readonly #trouble: Trouble;
  readonly #logs: (FileLog | MemoryLog)[] = [];

  static async open(parts: LmdbEngineParts): Promise<LmdbEngine> {
    // What lies in it is nobody else's on this machine.
    makeFolder(parts.data, 0o700);
    const lock = await DataLock.take(parts.data);
    const room = new Room(parts.data, parts.clock, parts.freeBytes ?? diskFreeBytes);
    try {
      await room.watch();
      return await readingFrom(join(parts.data, "state"), () => new LmdbEngine(parts, lock, room));
    } catch (error) {
      room.stop();
      await lock.release();
      throw error;
    }
  }

  private constructor(parts: LmdbEngineParts, lock: DataLock, room: Room) {
    this.#parts = parts;
    this.#lock = lock;
    this.#room = room;
    const folder = join(parts.data, "state");
    this.#environment = openEnvironment(folder);
    this.#trouble = new Trouble({ ...parts, room });
    this.state = new LmdbState({ environment: this.#environment, folder, clock: parts.clock, trouble: this.#trouble });
  }

  async open(policy: NamespacePolicy): Promise<Log> {
    const log = policy.durability === "memory" ? new MemoryLog(policy, this.#parts) : await this.#openOnDisk(policy);
    this.#logs.push(log);
    return log;
  }

  health(): Health {
    return { writable: !this.#trouble.isFatal && !this.#room.full, freeBytes: this.#room.free };
  }

  async close(): Promise<void> {
    this.#room.stop();
    await Promise.all(this.#logs.map((log) => log.close()));
    await this.state.idle();
    await closeEnvironment(this.#environment);
    await this.#lock.release();
  }

  #openOnDisk(policy: NamespacePolicy): Promise<FileLog> {
    const records = new Records(this.#environment, join(this.#parts.data, "state"), "catalog");
    // What a log finds damaged of its own, it names itself.
    const open = () =>
      FileLog.open({
        ...this.#parts,
        policy,
        folder: join(this.#parts.data, "logs", policy.namespace),
        catalog: new Catalog(records, policy.namespace),
        room: this.#room,
        trouble: this.#trouble,
      });
    return readingFrom(join(this.#parts.data, "state"), open);
  }
}
