/**
 * A TCP proxy between clients and a hub, for what networks do to connections.
 *
 *     client ◄──────► near │ proxy │ far ◄──────► hub
 *
 * `weather` says what the next connections will be like. What is done to connections by a call is done to those there are;
 * the next ones are healthy again.
 */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Conditions, Pipe } from "./pipe.ts";
import { whenDone } from "./temp.ts";

export type Direction = "to-hub" | "to-client";

/** What one connection is like. */
export interface Weather {
  /** It is reset as soon as it is made; or it is made, and nothing ever gets through. */
  readonly arrival?: "refuse" | "hang";
  readonly toHub?: Conditions;
  readonly toClient?: Conditions;
}

/** The same both ways. */
export function bothWays(conditions: Conditions): Weather {
  return { toHub: conditions, toClient: conditions };
}

/** Starts a proxy to a port of this machine; it ends with the test. */
export async function startProxy(port: number, random: () => number = Math.random): Promise<TcpProxy> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = new TcpProxy(server, port, random);
  whenDone(() => proxy.close());
  return proxy;
}

export class TcpProxy {
  readonly url: string;
  /** What connections that are made from now on are like; the first one is 1. */
  weather: (connection: number) => Weather = () => ({});
  /** Connections so far. */
  connections = 0;
  /** Bytes that came from the hub so far. */
  bytesToClients = 0;
  readonly #server: Server;
  readonly #port: number;
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  /** Connections that lead nowhere. */
  readonly #hanging = new Set<Socket>();
  #refuses = false;

  constructor(server: Server, port: number, random: () => number) {
    this.#server = server;
    this.#port = port;
    this.#random = random;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (near) => this.#connect(near));
  }

  /** Breaks every connection, at both ends. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** Breaks every connection at the client's end. The hub's end stays open, and nothing comes from there any more. */
  cutNear(): void {
    for (const link of this.#links) link.cutNear();
  }

  /** Loses every byte in one direction, while the connections seem fine. */
  lose(direction: Direction): void {
    for (const link of this.#links) link.pipe(direction).loses = true;
  }

  /** Lets nothing through in one direction, so that it backs up where it comes from. */
  hold(direction: Direction): void {
    for (const link of this.#links) link.pipe(direction).hold();
  }

  /** Lets nothing through in one direction until `release`, and keeps it also beyond the end of whoever sent it. */
  keep(direction: Direction): void {
    for (const link of this.#links) link.pipe(direction).keep();
  }

  release(): void {
    for (const link of this.#links) link.release();
  }

  /** What is kept in all. */
  get keptBytes(): number {
    let bytes = 0;
    for (const link of this.#links) bytes += link.pipe("to-hub").keptBytes + link.pipe("to-client").keptBytes;
    return bytes;
  }

  /** Breaks every connection, and refuses new ones until `admit`. */
  isolate(): void {
    this.#refuses = true;
    this.cut();
  }

  admit(): void {
    this.#refuses = false;
  }

  close(): void {
    this.#server.close();
    this.cut();
    for (const near of this.#hanging) near.destroy();
  }

  #connect(near: Socket): void {
    const { arrival, toHub = {}, toClient = {} } = this.weather(++this.connections);
    if (this.#refuses || arrival === "refuse") {
      near.resetAndDestroy();
      return;
    }
    if (arrival === "hang") {
      this.#hanging.add(near);
      near.on("error", () => {}).once("close", () => this.#hanging.delete(near));
      return;
    }
    const far = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    far.on("data", ({ length }) => {
      this.bytesToClients += length;
    });
    const link = new Link(near, far, toHub, toClient, this.#random);
    this.#links.add(link);
    far.once("close", () => this.#links.delete(link));
  }
}

/** One connection through the proxy. */
class Link {
  readonly #near: Pipe;
  readonly #far: Pipe;

  constructor(near: Socket, far: Socket, toHub: Conditions, toClient: Conditions, random: () => number) {
    this.#near = new Pipe({ from: near, to: far, conditions: toHub, random });
    this.#far = new Pipe({ from: far, to: near, conditions: toClient, random });
  }

  cut(): void {
    this.#near.from.resetAndDestroy();
    this.#far.from.resetAndDestroy();
  }

  cutNear(): void {
    this.#far.from.removeAllListeners("close");
    this.#near.from.removeAllListeners("close");
    this.pipe("to-client").loses = true;
    this.#near.from.resetAndDestroy();
  }

  release(): void {
    this.#near.release();
    this.#far.release();
  }

  pipe(direction: Direction): Pipe {
    return direction === "to-hub" ? this.#near : this.#far;
  }
}
