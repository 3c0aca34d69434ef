/**
 * Keeps two hubs from opening the same data.
 *
 * The lock is a socket that its owner listens on. Unlike a file with a process id, it cannot outlive its owner: after
 * `kill -9` nobody answers, and the next hub takes it over.
 */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Longest path of a socket that every system accepts. */
const socketPathMax = 100;

/** Another process has the data open. */
export class DataInUseError extends Error {
  constructor(folder: string) {
    super(`Another hub is using the data in ${folder}. Stop it, or give this one other data.`);
    this.name = "DataInUseError";
  }
}

export class DataLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws a DataInUseError where another process has the data open. */
  static async take(folder: string): Promise<DataLock> {
    const path = socketPath(resolve(folder));
    if (await answers(path)) throw new DataInUseError(folder);
    await rm(path, { force: true });
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done, failed) => {
      server.once("error", failed);
      server.listen(path, done);
    });
    server.unref();
    return new DataLock(server);
  }

  async release(): Promise<void> {
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}

function socketPath(folder: string): string {
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  if (process.platform === "win32") return `\\\\.\\pipe\\dogear-${name}`;
  const beside = join(folder, "lock.sock");
  return beside.length <= socketPathMax ? beside : join(tmpdir(), `dogear-${name}.sock`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}
