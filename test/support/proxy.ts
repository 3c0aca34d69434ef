/**
 * A TCP proxy between clients and a hub, for what networks do to connections.
 *
 *     client ◄──────► near │ proxy │ far ◄──────► hub
 *
 * What is done to connections is done to those there are; the next ones are healthy again.
 */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { whenDone } from "./temp.ts";

export type Direction = "to-hub" | "to-client";

/** Starts a proxy to a port of this machine; it ends with the test. */
export async function startProxy(port: number): Promise<TcpProxy> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = new TcpProxy(server, port);
  whenDone(() => proxy.close());
  return proxy;
}

export class TcpProxy {
  readonly url: string;
  /** How long everything takes to get through, either way, on connections made from now on. */
  delayMs = 0;
  /** Bytes that went to clients so far. */
  bytesToClients = 0;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #refuses = false;

  constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (near) => {
      if (this.#refuses) {
        near.resetAndDestroy();
        return;
      }
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      far.on("data", ({ length }) => {
        this.bytesToClients += length;
      });
      const link = new Link(near, far, this.delayMs);
      this.#links.add(link);
      near.once("close", () => this.#links.delete(link));
    });
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
    for (const link of this.#links) link.lose(direction);
  }

  /** Lets nothing through in one direction, so that it backs up where it comes from. */
  hold(direction: Direction): void {
    for (const link of this.#links) link.hold(direction);
  }

  release(): void {
    for (const link of this.#links) link.release();
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
  }
}

/** One connection through the proxy. */
class Link {
  readonly #near: Pipe;
  readonly #far: Pipe;

  constructor(near: Socket, far: Socket, delayMs: number) {
    this.#near = new Pipe(near, far, delayMs);
    this.#far = new Pipe(far, near, delayMs);
  }

  cut(): void {
    this.#near.from.resetAndDestroy();
    this.#far.from.resetAndDestroy();
  }

  cutNear(): void {
    this.#far.from.removeAllListeners("close");
    this.#near.from.removeAllListeners("close");
    this.lose("to-client");
    this.#near.from.resetAndDestroy();
  }

  lose(direction: Direction): void {
    this.#pipe(direction).loses = true;
  }

  hold(direction: Direction): void {
    this.#pipe(direction).hold();
  }

  release(): void {
    this.#near.release();
    this.#far.release();
  }

  #pipe(direction: Direction): Pipe {
    return direction === "to-hub" ? this.#near : this.#far;
  }
}

/** One direction of a connection. */
class Pipe {
  readonly from: Socket;
  loses = false;
  #holds = false;

  constructor(from: Socket, to: Socket, delayMs: number) {
    this.from = from;
    const forward = (bytes: Buffer): void => {
      if (this.loses || to.destroyed) return;
      if (!to.write(bytes)) from.pause();
    };
    from.on("data", delayMs === 0 ? forward : (bytes) => void setTimeout(forward, delayMs, bytes));
    to.on("drain", () => {
      if (!this.#holds) from.resume();
    });
    from.on("close", () => to.destroy());
    // What went wrong is in the close that follows.
    from.on("error", () => {});
  }

  hold(): void {
    this.#holds = true;
    this.from.pause();
  }

  release(): void {
    this.#holds = false;
    this.from.resume();
  }
}
