/**
 * A balancer before several hubs, as clients meet one: each connection goes to a hub by chance, so that a client that comes
 * back comes to another. It knows which hubs are well because it is told.
 *
 *     clients ◄──────► balancer ◄──────► hubs
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { whenDone } from "./temp.ts";

interface Connection {
  /** The port of its hub. */
  readonly hub: number;
  readonly near: Socket;
  readonly far: Socket;
}

/** Starts a balancer that knows no hub yet; it ends with the test. */
export async function startBalancer(random: () => number): Promise<Balancer> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const balancer = new Balancer(server, random);
  whenDone(() => balancer.close());
  return balancer;
}

export class Balancer {
  readonly url: string;
  readonly #server: Server;
  readonly #random: () => number;
  /** Ports of hubs that get new connections. */
  readonly #hubs = new Set<number>();
  readonly #connections = new Set<Connection>();

  constructor(server: Server, random: () => number) {
    this.#server = server;
    this.#random = random;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (near) => this.#connect(near));
  }

  /** A hub gets new connections from now on. */
  admit(hub: number): void {
    this.#hubs.add(hub);
  }

  /** A hub gets no new connections any more. It keeps those it has. */
  spare(hub: number): void {
    this.#hubs.delete(hub);
  }

  /** Breaks a connection, whichever; its client comes back, perhaps to another hub. */
  move(): void {
    const connection = this.#any([...this.#connections]);
    connection?.near.resetAndDestroy();
    connection?.far.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
  }

  #connect(near: Socket): void {
    const hub = this.#any([...this.#hubs]);
    if (hub === undefined) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port: hub, host: "127.0.0.1", noDelay: true });
    const connection = { hub, near, far };
    this.#connections.add(connection);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      // What went wrong is in the close that follows.
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#connections.delete(connection);
        near.destroy();
        far.destroy();
      });
    }
  }

  #any<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.#random() * all.length)];
  }
}
