/** A hub with users, and clients of it that speak HTTP. Every answer is held to the OpenAPI document. */
import { createHash } from "node:crypto";
import { type IncomingMessage, type RequestListener, request } from "node:http";
import { SignJWT } from "jose";
import { expect } from "vitest";
import { parseConfig } from "../../server/src/config/config.ts";
import type { Logger } from "../../server/src/index.ts";
import { type Server, startServer } from "../../server/src/server.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";

export interface HubOptions {
  readonly data?: string;
  readonly port?: number;
  readonly limits?: Readonly<Record<string, number>>;
  readonly namespaces?: object;
  readonly listen?: object;
  readonly access?: object;
  /** What answers where the hub has no route. */
  readonly elsewhere?: RequestListener;
}

export interface HttpHub extends Server {
  readonly data: string;
  /** What it logged as an error. */
  readonly failures: Collected<readonly [event: string, facts: Readonly<Record<string, unknown>>]>;
}

/** The keys of a hub with access control: each is the user of its name. */
export const keys = {
  writer: "key-of-the-writer",
  reader: "key-of-the-reader",
  admin: "key-of-the-admin",
} as const;

const capabilities = {
  writer: { "open.>": ["publish"], "orders.>": ["publish", "subscribe"] },
  reader: { "orders.>": ["subscribe"] },
  admin: { ">": ["admin", "publish", "subscribe", "work"] },
} as const;

/** What to configure for a hub that has these users. */
export function users(limits: object = {}): object {
  const keyOf = (name: keyof typeof keys) => ({
    hash: createHash("sha256").update(keys[name]).digest("hex"),
    capabilities: capabilities[name],
    limits,
  });
  return { keys: { writer: keyOf("writer"), reader: keyOf("reader"), admin: keyOf("admin") } };
}

export async function startHub({
  data = temporaryFolder(),
  port = 0,
  elsewhere,
  ...config
}: HubOptions = {}): Promise<HttpHub> {
  const failures: HttpHub["failures"] = new Collected();
  const logger: Logger = { info() {}, warn() {}, error: (event, facts = {}) => failures.add([event, facts]) };
  const server = await startServer({
    data,
    port,
    config: parseConfig(config),
    logger,
    ...(elsewhere && { http: elsewhere }),
  });
  whenDone(() => server.close());
  return { ...server, data, failures };
}

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The user whose key to show. */
  readonly as?: keyof typeof keys;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  /** What the text says, as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly json: any;
}

/** Asks as in `ask(hub, "GET /messages?pattern=a")`. */
export async function ask(hub: { readonly port: number }, what: string, asking: Asking = {}): Promise<Answered> {
  const response = await begin(hub, what, asking);
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  const { statusCode: status = 0, headers } = response;
  await expectDescribed(hub, what, status);
  return {
    status,
    headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** The same, as far as the head of the answer. */
export function begin(
  hub: { readonly port: number },
  what: string,
  { headers, body, as, signal }: Asking = {},
): Promise<IncomingMessage> {
  const [method, path] = what.split(/ (.*)/s) as [string, string];
  const authorization = as && { authorization: `Bearer ${keys[as]}` };
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port: hub.port,
        method,
        path,
        agent: false,
        headers: { ...authorization, ...headers },
        ...(signal && { signal }),
      },
      resolve,
    );
    whenDone(() => {
      asked.destroy();
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** Publishes JSON text, and resolves with the offset. */
export async function publish(hub: HttpHub, channel: string, text: string, asking: Asking = {}): Promise<number> {
  const headers = { "content-type": "application/json", ...asking.headers };
  const { status, json } = await ask(hub, `POST /publish/${channel}`, { ...asking, headers, body: text });
  expect(status, JSON.stringify(json)).toBe(200);
  return json.offset;
}

export interface Event {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** A stream of events, read as the HTML standard says (section 9.2.6). */
export class EventReader {
  readonly events: Collected<Event> = new Collected();
  readonly comments: Collected<string> = new Collected();
  readonly retries: Collected<number> = new Collected();
  readonly response: IncomingMessage;
  readonly ended: Promise<void>;
  /** The id of the event that came last. */
  lastId: string | undefined;
  #rest = "";
  #event = "message";
  #data: string[] = [];

  static async open(hub: { readonly port: number }, path: string, asking: Asking = {}): Promise<EventReader> {
    const response = await begin(hub, `GET ${path}`, asking);
    expect(response.statusCode).toBe(200);
    expect(response.headers["content-type"]).toBe("text/event-stream");
    return new EventReader(response);
  }

  private constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8").on("data", (text: string) => this.#take(text));
    response.on("error", () => {});
    this.ended = new Promise((resolve) => response.once("close", resolve));
    whenDone(() => {
      response.destroy();
    });
  }

  /** The messages that came, once there are so many. */
  async messages(count: number): Promise<readonly { offset: number; channel: string; data: unknown }[]> {
    const named = await this.events.reach(count);
    return named.filter(({ event }) => event === "message").map(({ data }) => JSON.parse(data));
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") return this.#dispatch();
    const [, field = "", value = ""] = line.match(/^([^:]*):? ?(.*)$/s) ?? [];
    if (field === "") this.comments.add(value);
    else if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id") this.lastId = value;
    else if (field === "retry") this.retries.add(Number(value));
  }

  #dispatch(): void {
    const [event, data] = [this.#event, this.#data.join("\n")];
    this.#event = "message";
    this.#data = [];
    if (data !== "") this.events.add({ id: this.lastId, event, data });
  }
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
}

const descriptions = new Map<number, Promise<Description>>();

export function descriptionOf(hub: { readonly port: number }): Promise<Description> {
  let description = descriptions.get(hub.port);
  if (description === undefined) {
    description = begin(hub, "GET /openapi.json").then(async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      return JSON.parse(text) as Description;
    });
    descriptions.set(hub.port, description);
    description.catch(() => descriptions.delete(hub.port));
  }
  return description;
}

/** What is answered is what the description says may be. */
async function expectDescribed(hub: { readonly port: number }, what: string, status: number): Promise<void> {
  const [method, url] = what.split(/ (.*)/s) as [string, string];
  const { paths } = await descriptionOf(hub);
  const path = Object.keys(paths).find((template) => matches(template, url.split("?")[0] as string));
  const operation = path && paths[path]?.[method.toLowerCase()];
  if (operation) expect(Object.keys(operation.responses), `${what} answers`).toContain(`${status}`);
}

function matches(template: string, path: string): boolean {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path);
}

/** Secret of the tokens that tests sign. */
export const secret = "a secret of thirty-two bytes or more";

/** A token of somebody, good for so long. */
export function tokenOf(user: string, capabilities: object, livesMs = 60_000): Promise<string> {
  return new SignJWT({ capabilities })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime(new Date(Date.now() + livesMs))
    .sign(new TextEncoder().encode(secret));
}
