/**
 * The door for those who come over HTTP: routes, who may use them, and what is said when something is wrong. Hono finds the
 * route; answers are written by whoever has them, so that a page of the log is not wrapped once more.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { DogearError, dogearError } from "@dogear/shared";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type Context, Hono } from "hono";
import type { Origins } from "../access/origins.ts";
import type { SessionParts } from "../session/session.ts";
import { adminRoutes } from "./admin.ts";
import { refuse, refuseNotFound } from "./answers.ts";
import { HungUp } from "./bodies.ts";
import { answerOptions, shareWith } from "./cors.ts";
import { Entrance, type Peer } from "./entrance.ts";
import { describe } from "./openapi.ts";
import { probeRoutes } from "./probes.ts";
import { publishRoutes } from "./publish.ts";
import { readingRoutes } from "./reading.ts";
import { type Route, singly, valid } from "./route.ts";
import { Staying } from "./staying.ts";
import { ticketRoute } from "./tickets.ts";
import { Unanswered } from "./unanswered.ts";

export interface DoorParts {
  readonly session: SessionParts;
  readonly origins: Origins;
  readonly peerOf: (request: IncomingMessage) => Peer;
  /** Why the hub cannot do its work now; `undefined` where it can. */
  readonly unready: () => string | undefined;
  readonly version: string;
  /** What answers where there is no route; by default that there is nothing. */
  readonly elsewhere?: RequestListener | undefined;
}

export interface Door {
  readonly listener: RequestListener;
  /** The routes there are, for those who describe them. */
  readonly routes: readonly Route[];
  /** Takes nothing more, lets whoever waits go, and resolves when everybody was answered, after `drainMs` at most. */
  drain(): Promise<void>;
}

/** Streams are asked to come back spread over this long, a little for each. */
const leaveSpreadMs = { perStream: 1, min: 500, max: 30_000 } as const;

type Env = { readonly Bindings: HttpBindings };

export function createDoor(parts: DoorParts): Door {
  return new HttpDoor(parts);
}

class HttpDoor implements Door {
  readonly listener: RequestListener;
  readonly routes: readonly Route[];
  readonly #parts: DoorParts;
  readonly #entrance: Entrance;
  readonly #staying = new Staying();
  readonly #unanswered = new Unanswered();
  #description: string | undefined;
  #draining = false;

  constructor(parts: DoorParts) {
    const { session, origins, peerOf, unready } = parts;
    const { hub, clock } = session;
    this.#parts = parts;
    this.#entrance = new Entrance({ access: hub.access, origins, clock, peerOf });
    this.routes = [
      ...publishRoutes(session),
      ...readingRoutes({ session, entrance: this.#entrance, staying: this.#staying }),
      ticketRoute(hub.access),
      ...adminRoutes(hub.administration),
      ...probeRoutes({
        metrics: session.metrics,
        unready: () => (this.#draining ? "draining" : unready()),
        description: () => {
          this.#description ??= describe(this.routes, parts.version, hub.access.cookie);
          return this.#description;
        },
      }),
    ];
    const answer = getRequestListener(this.#app().fetch, {
      // A client of HTTP/1.0 may not say whom it is talking to.
      hostname: "localhost",
      // Whoever embeds the hub keeps its own.
      overrideGlobalObjects: false,
    });
    this.listener = (request, response) => void answer(request, response);
  }

  async drain(): Promise<void> {
    const { clock, chance, limits } = this.#parts.session;
    const { perStream, min, max } = leaveSpreadMs;
    const spread = Math.min(max, Math.max(min, perStream * this.#staying.size));
    this.#draining = true;
    this.#staying.leave(() => Math.round(chance.random() * spread));
    if (this.#unanswered.isEmpty) return;
    await new Promise<void>((resolve) => {
      const giveUp = clock.after(limits.drainMs, resolve);
      this.#unanswered.onEmpty(() => {
        giveUp();
        resolve();
      });
    });
  }

  #app(): Hono<Env> {
    const app = new Hono<Env>();
    for (const route of this.routes) {
      app.on(route.method.toUpperCase(), inHono(route.path), (c) => this.#answer(c, () => this.#ask(route, c)));
    }
    for (const path of new Set(this.routes.map((route) => route.path))) {
      const methods = this.routes.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
      const allowed = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
      app.all(inHono(path), (c) => this.#answer(c, () => this.#askOtherwise(c, allowed)));
    }
    app.notFound((c) => this.#answer(c, () => this.#askElsewhere(c)));
    return app;
  }

  async #answer(c: Context<Env>, ask: () => Promise<void> | void): Promise<Response> {
    const { incoming: request, outgoing: response } = c.env as { incoming: IncomingMessage; outgoing: ServerResponse };
    this.#unanswered.add(request, response);
    if (this.#draining) response.shouldKeepAlive = false;
    try {
      await ask();
    } catch (error) {
      this.#failed(error, request, response);
    }
    return RESPONSE_ALREADY_SENT;
  }

  async #ask(route: Route, c: Context<Env>): Promise<void> {
    const { request, response } = endsOf(c);
    shareWith(this.#parts.origins, request, response);
    const identifies = route.identification !== "none";
    if (identifies && this.#draining) throw dogearError("draining");
    const visitor = identifies
      ? await this.#entrance.admit(request, route.identification, c.req.query("ticket"))
      : undefined;
    const params = valid(route.params, c.req.param());
    const query = valid(route.query, singly(c.req.queries()));
    await route.answer({ params, query, request, response }, visitor);
  }

  #askOtherwise(c: Context<Env>, allowed: string): void {
    const { request, response } = endsOf(c);
    const { origins } = this.#parts;
    shareWith(origins, request, response);
    if (request.method === "OPTIONS") return answerOptions(origins, request, response, allowed);
    response.setHeader("allow", allowed);
    refuse(response, dogearError("invalid-request", `This address takes ${allowed}.`), 405);
  }

  #askElsewhere(c: Context<Env>): void {
    const { request, response } = endsOf(c);
    const { elsewhere } = this.#parts;
    if (elsewhere === undefined) refuseNotFound(response);
    else elsewhere(request, response);
  }

  #failed(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (error instanceof HungUp) return;
    if (error instanceof DogearError) return refuse(response, error);
    // Without the query: whatever a client put into it, it may be a secret.
    const [path] = (request.url ?? "").split("?", 1);
    this.#parts.session.logger.error("http.failed", { method: request.method, path, error });
    refuse(response, dogearError("internal"));
  }
}

function endsOf(c: Context<Env>): { readonly request: IncomingMessage; readonly response: ServerResponse } {
  return { request: c.env.incoming as IncomingMessage, response: c.env.outgoing as ServerResponse };
}

/** A path as Hono writes it: `/publish/:channel`. */
function inHono(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}
