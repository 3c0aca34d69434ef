/** What the tests of nginx and of Caddy share: what a proxy of these tests is, and clients that come through it. */
import { once } from "node:events";
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { Agent } from "node:https";
import type { TcpSocketConnectOpts } from "node:net";
import type { Dogear } from "@dogear/client";
import { type ClientOptions as SocketOptions, WebSocket } from "ws";
import { clientOf } from "../support/hub.ts";
import { whenDone } from "../support/temp.ts";
import { type Certificate, hubName } from "./certificate.ts";

export interface ReverseProxy {
  readonly ports: Ports;
  readonly certificate: Certificate;
  /** Has it read its file again, as its operator does. */
  reload(): Promise<void>;
}

export interface Ports {
  readonly http: number;
  readonly https: number;
}

/** Starts one in front of the hub that listens on this port. */
export type StartReverseProxy = (hubPort: number) => Promise<ReverseProxy>;

/** An address of this machine that is nobody else's, so that it is seen who came. */
export const visitorAddress = "127.0.0.9";

/** A client that looks for the hub by its name and finds the proxy. */
export function visitorOf(proxy: ReverseProxy, token: string, options: SocketOptions = {}): Dogear {
  class ProxiedWebSocket extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols, { agent: new Agent(wayTo(proxy)), ...options });
    }
  }
  return clientOf(urlOf(proxy), { token, WebSocket: ProxiedWebSocket });
}

export interface Handshake {
  readonly status: number;
  readonly body: string;
}

/** What is answered to a WebSocket handshake: 101, or a refusal with its words. */
export function handshake(proxy: ReverseProxy, subprotocol: string, options: SocketOptions = {}): Promise<Handshake> {
  const socket = new WebSocket(urlOf(proxy), subprotocol, { agent: new Agent(wayTo(proxy)), ...options });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => {
      socket.terminate();
      resolve({ status: 101, body: "" });
    });
    socket.on("unexpected-response", async (_request, response) => {
      const parts: Buffer[] = await response.toArray();
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() });
    });
  });
}

export interface Question {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: ClientHttp2Stream;
  json(): Promise<unknown>;
}

/** Asks over HTTP/2, as browsers do. */
export async function ask(proxy: ReverseProxy, { path, method = "GET", headers, body }: Question): Promise<Answer> {
  const session = connect(originOf(proxy), wayTo(proxy));
  whenDone(() => session.destroy());
  const stream = session.request({ ":path": path, ":method": method, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const [answered] = (await once(stream, "response")) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
  const json = async (): Promise<unknown> => {
    const parts: Buffer[] = await stream.toArray();
    return JSON.parse(Buffer.concat(parts).toString());
  };
  return { status: answered[":status"] ?? 0, headers: answered, body: stream, json };
}

/** The origin of the pages that the hub serves itself. */
export function originOf({ ports }: ReverseProxy): string {
  return `https://${hubName}:${ports.https}`;
}

function urlOf(proxy: ReverseProxy): string {
  return originOf(proxy).replace("https", "wss");
}

/** How the hub's name leads to this machine, and who comes. */
function wayTo({ certificate }: ReverseProxy): Pick<TcpSocketConnectOpts, "localAddress" | "lookup"> & { ca: Buffer } {
  return {
    ca: certificate.ca,
    localAddress: visitorAddress,
    lookup: (_name, { all }, found) => {
      if (all) found(null, [{ address: "127.0.0.1", family: 4 }]);
      else found(null, "127.0.0.1", 4);
    },
  };
}
