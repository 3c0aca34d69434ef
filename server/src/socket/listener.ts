/**
 * Listens on one port: WebSocket upgrades become sessions, everything else goes to the HTTP handler.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { HubCodec } from "../codec/codec.ts";
import { Session, type SessionParts } from "../session/session.ts";
import { WsSocket } from "./ws-socket.ts";

export interface ListenerParts {
  readonly host: string;
  readonly port: number;
  /** The codecs spoken, by subprotocol. */
  readonly codecs: ReadonlyMap<string, HubCodec>;
  readonly session: SessionParts;
  readonly http: RequestListener;
}

/** Sessions are asked to come back spread over this long, a little for each. */
const drainSpreadMs = { perSession: 1, min: 500, max: 30_000 } as const;

export class Listener {
  readonly sessions: Set<Session> = new Set();
  readonly #parts: ListenerParts;
  readonly #http: Server;
  readonly #upgrades: WebSocketServer;

  constructor(parts: ListenerParts) {
    const { limits } = parts.session;
    this.#parts = parts;
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // One deflate context a connection would cost more memory than everything else together.
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      handleProtocols: (offered) => [...offered].find((name) => parts.codecs.has(name)) ?? false,
    });
    this.#http = createServer(
      {
        headersTimeout: limits.helloTimeoutMs,
        requestTimeout: limits.helloTimeoutMs,
        connectionsCheckingInterval: Math.ceil(limits.helloTimeoutMs / 10),
        maxHeaderSize: 8_192,
      },
      parts.http,
    );
    this.#http.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
  }

  /** Starts to listen; resolves with the port. */
  async listen(): Promise<number> {
    const { host, port } = this.#parts;
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(port, host, resolve);
    });
    return (this.#http.address() as AddressInfo).port;
  }

  /** Takes no more connections, asks every session to come back later, and lets what they published be answered. */
  async drain(): Promise<void> {
    this.#http.close();
    this.#http.closeIdleConnections();
    const { chance } = this.#parts.session;
    const { perSession, min, max } = drainSpreadMs;
    const spread = Math.min(max, Math.max(min, perSession * this.sessions.size));
    for (const session of this.sessions) session.drain(Math.round(chance.random() * spread));
    await Promise.all([...this.sessions].map((session) => session.drafts.idle()));
  }

  /** Closes every session. */
  close(): void {
    for (const session of this.sessions) session.close("draining");
    this.#http.closeAllConnections();
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    // Before anything else: a connection that is reset now must not take the process down.
    stream.on("error", () => stream.destroy());
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!offered.some((name) => this.#parts.codecs.has(name))) {
      const spoken = [...this.#parts.codecs.keys()].join(", ");
      const text = `Offer one of these WebSocket subprotocols: ${spoken}.\n`;
      stream.once("finish", () => stream.destroy());
      stream.end(
        `HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      );
      return;
    }
    this.#upgrades.handleUpgrade(request, stream, head, (ws) => this.#connected(ws, stream as Socket));
  }

  #connected(ws: WebSocket, stream: Socket): void {
    const codec = this.#parts.codecs.get(ws.protocol) as HubCodec;
    const session = new Session(new WsSocket(ws, stream, this.#parts.session.clock), codec, this.#parts.session);
    this.sessions.add(session);
    ws.on("message", (message, binary) => session.receive(message as Buffer, binary));
    ws.on("close", () => {
      this.sessions.delete(session);
      session.disconnected();
    });
    // What went wrong is in the close that follows.
    ws.on("error", () => {});
    stream.on("drain", () => session.drained());
  }
}
