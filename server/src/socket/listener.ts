/**
 * Listens on one port: WebSocket upgrades become sessions, everything else goes to the HTTP door.
 *
 * Whoever connects is counted before it is looked at: by its address, or, where it comes through a proxy that is trusted, by
 * the address that the proxy names. Who may not come in is told so in the words of HTTP, or, where that would take a TLS
 * handshake first, not at all.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Server as TlsServer } from "node:tls";
import { dogearError, type ErrorCode, errors, type Limits, tokenLengthMax } from "@dogear/shared";
import { type WebSocket, WebSocketServer } from "ws";
import type { Origins } from "../access/origins.ts";
import type { HubCodec } from "../codec/codec.ts";
import type { SessionCounts } from "../runtime/metrics.ts";
import { Session, type SessionParts } from "../session/session.ts";
import type { Certificate } from "./certificate.ts";
import type { Proxies } from "./peer.ts";
import { TurnWrites } from "./turn-writes.ts";
import { closeGraceMs, WsSocket } from "./ws-socket.ts";

export interface ListenerParts {
  readonly host: string;
  readonly port: number;
  /** The certificate and the key, where it speaks TLS itself. */
  readonly tls: Certificate | undefined;
  readonly proxies: Proxies;
  readonly origins: Origins;
  /** The codecs spoken, by subprotocol. */
  readonly codecs: ReadonlyMap<string, HubCodec>;
  readonly session: SessionParts;
  readonly http: RequestListener;
}

/** Sessions are asked to come back spread over this long, a little for each. */
const drainSpreadMs = { perSession: 1, min: 500, max: 30_000 } as const;

/**
 * Connections that may wait to be accepted; the kernel takes fewer where it is set to (`net.core.somaxconn`). Where all clients
 * come back together, one that finds no room tries again after a second, then two, then four.
 */
const backlog = 65_535;

/** Connections beyond those that are let in, so that the others can be told why they are not. */
const refusedMax = 1_000;

export class Listener {
  readonly sessions: Set<Session> = new Set();
  readonly #parts: ListenerParts;
  readonly #http: Server;
  readonly #upgrades: WebSocketServer;
  /** Connections that are there, by their far ends, and the address that each is counted by. */
  readonly #counted = new Map<string, string>();
  readonly #writes = new TurnWrites();

  constructor(parts: ListenerParts) {
    const { limits } = parts.session;
    this.#parts = parts;
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // One deflate context a connection would cost more memory than everything else together.
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      ...boundsOf(limits),
      handleProtocols: (offered) => [...offered].find((name) => parts.codecs.has(name)) ?? false,
    });
    const options = {
      headersTimeout: limits.helloTimeoutMs,
      requestTimeout: limits.helloTimeoutMs,
      connectionsCheckingInterval: Math.ceil(limits.helloTimeoutMs / 10),
      maxHeaderSize: maxHeaderBytes,
    };
    const { tls, http } = parts;
    const secure = { ...options, ...tls, handshakeTimeout: limits.helloTimeoutMs };
    this.#http = tls === undefined ? createServer(options, http) : createSecureServer(secure, http);
    this.#http.maxConnections = limits.connectionsMax + refusedMax;
    this.#http.on("connection", (socket: Socket) => this.#arrived(socket));
    this.#http.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
  }

  /** What the metrics tell of sessions. */
  counts(): SessionCounts {
    const counts = { sessions: this.sessions.size, subscriptions: 0, members: 0, outboxBytes: 0 };
    for (const { subscriptions, members, outbox } of this.sessions) {
      counts.subscriptions += subscriptions.size;
      counts.members += members.size;
      counts.outboxBytes += outbox.bytes;
    }
    return counts;
  }

  /** Starts to listen; resolves with the port. */
  async listen(): Promise<number> {
    const { host, port } = this.#parts;
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen({ port, host, backlog }, resolve);
    });
    return (this.#http.address() as AddressInfo).port;
  }

  /** Uses a new certificate for connections that come from now on. */
  renew(certificate: Certificate): void {
    if (this.#http instanceof TlsServer) this.#http.setSecureContext(certificate);
  }

  /**
   * Takes no more connections, asks every session to come back later, and lets what they published be answered, for
   * `drainMs` at most.
   */
  async drain(): Promise<void> {
    this.#http.close();
    this.#http.closeIdleConnections();
    const { chance, clock, limits } = this.#parts.session;
    const { perSession, min, max } = drainSpreadMs;
    const spread = Math.min(max, Math.max(min, perSession * this.sessions.size));
    for (const session of this.sessions) session.drain(Math.round(chance.random() * spread));
    const answered = Promise.all([...this.sessions].map((session) => session.drafts.idle()));
    let giveUp = () => {};
    const late = new Promise<void>((resolve) => {
      giveUp = clock.after(limits.drainMs, resolve);
    });
    await Promise.race([answered, late]);
    giveUp();
  }

  /** Closes every session. */
  close(): void {
    for (const session of this.sessions) session.close("draining");
    this.#http.closeAllConnections();
  }

  /** Whether one more connection may be; told in the words of HTTP where not. */
  #arrived(socket: Socket): void {
    socket.on("error", () => {});
    const { proxies } = this.#parts;
    const { address } = proxies.peerOf({ socket, headers: {} });
    const { hub, limits } = this.#parts.session;
    if (this.#counted.size >= limits.connectionsMax) {
      hub.hit("connectionsMax");
      return this.#turnAway(socket, 503);
    }
    // Who is behind a proxy is known when the request has come.
    if (proxies.trusts(address)) return this.#count(socket, "");
    if (!hub.access.addresses.enter(address)) return this.#turnAway(socket, 429);
    this.#count(socket, address);
  }

  /** Hangs up on a connection that has not said anything yet. */
  #turnAway(socket: Socket, status: number): void {
    if (this.#parts.tls === undefined) return this.#refuse(socket, status, "too-many-connections");
    this.#parts.session.metrics.connectionRefused("too-many-connections");
    socket.destroy();
  }

  #count(socket: Socket, address: string): void {
    const end = farEndOf(socket);
    this.#counted.set(end, address);
    socket.once("close", () => {
      this.#parts.session.hub.access.addresses.leave(this.#counted.get(end) ?? "");
      this.#counted.delete(end);
    });
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    // Until `ws` takes over, nobody else listens.
    stream.on("error", () => stream.destroy());
    const { codecs, origins, proxies, session } = this.#parts;
    const { address } = proxies.peerOf(request);
    const end = farEndOf(request.socket);
    if (this.#counted.get(end) === "" && !proxies.trusts(address)) {
      if (!session.hub.access.addresses.enter(address)) return this.#refuse(stream, 429, "too-many-connections");
      this.#counted.set(end, address);
    }
    const { origin, host } = request.headers;
    if (!origins.allows({ origin, host })) return this.#refuse(stream, 403, "origin-refused");
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!offered.some((name) => codecs.has(name))) {
      const spoken = [...codecs.keys()].join(", ");
      return this.#refuse(stream, 400, "invalid-request", `Offer one of these WebSocket subprotocols: ${spoken}.`);
    }
    this.#upgrades.handleUpgrade(request, stream, head, (ws) => this.#connected(ws, stream as Socket, address));
  }

  #refuse(stream: Duplex, status: number, code: ErrorCode, detail?: string): void {
    this.#parts.session.metrics.connectionRefused(code);
    refuse(stream, status, code, detail);
  }

  #connected(ws: WebSocket, stream: Socket, address: string): void {
    const { session: parts, codecs } = this.#parts;
    const codec = codecs.get(ws.protocol) as HubCodec;
    const session = new Session(new WsSocket(ws, stream, parts.clock, this.#writes), codec, parts, address);
    this.sessions.add(session);
    ws.on("message", (message, binary) => session.receive(message as Buffer, binary));
    ws.on("close", () => {
      this.sessions.delete(session);
      session.disconnected();
    });
    // What went wrong is in the close that follows.
    ws.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") parts.hub.hit("frameBytesMax");
    });
    stream.on("drain", () => session.drained());
    boundUnknown(session, ws, stream, parts.limits.helloBytesMax);
  }
}

/** Of what a message may come in: clients do not cut it into smaller pieces than this, nor does the network on average. */
const bytesPerFragment = 1_024;
const bytesPerChunk = 256;
const fragmentsMin = 1_024;
const chunksMin = 4_096;

/** What `ws` keeps at most for one connection besides the bytes of a message, and how long it waits for a close. */
function boundsOf({ frameBytesMax }: Limits): Readonly<Record<string, number>> {
  return {
    // Pieces cost memory too, also where they are empty.
    maxFragments: Math.max(fragmentsMin, Math.ceil(frameBytesMax / bytesPerFragment)),
    maxBufferedChunks: Math.max(chunksMin, Math.ceil(frameBytesMax / bytesPerChunk)),
    // Who does not read the answers to its pings has no use for more of them.
    maxPendingAutoPongs: 60,
    closeTimeout: closeGraceMs,
  };
}

/** What tells a connection from all others that are there; that of TLS and the one beneath it have it in common. */
function farEndOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Room for the largest token, and as much for everything else. */
const maxHeaderBytes = 2 * tokenLengthMax;

/** Reads no further where more arrives than may, before it is known who it is from. */
function boundUnknown(session: Session, ws: WebSocket, stream: Socket, bytesMax: number): void {
  const start = stream.bytesRead;
  // Called after `ws` has read what came, so that a hello in it counts as arrived.
  const arrived = () => {
    if (!session.isUnknown) stream.off("data", arrived);
    else if (stream.bytesRead - start > bytesMax) {
      session.close("hello-too-large");
      ws.pause();
    }
  };
  stream.on("data", arrived);
}

const statusTexts: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  429: "Too Many Requests",
  503: "Service Unavailable",
};

/** Answers a request that is refused, and hangs up. */
function refuse(stream: Duplex, status: number, code: ErrorCode, detail?: string): void {
  const { message } = dogearError(code, detail);
  const body = JSON.stringify({ error: { code, message, retry: errors[code].retry } });
  const headers = [
    `HTTP/1.1 ${status} ${statusTexts[status]}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 429 || status === 503 ? ["Retry-After: 1"] : []),
  ];
  stream.once("finish", () => stream.destroy());
  stream.end(`${headers.join("\r\n")}\r\n\r\n${body}`);
}
