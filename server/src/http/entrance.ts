/**
 * Who comes over HTTP. A token or key is in the header `Authorization`. A page that reads, and cannot set a header, comes
 * with a ticket, which is good once; its browser comes back with the cookie that the ticket was exchanged for. A token in a
 * URL is nobody's: URLs end up in logs and histories.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DogearError, dogearError, tokenLengthMax } from "@dogear/shared";
import { parse, serialize } from "hono/utils/cookie";
import type { Access } from "../access/access.ts";
import type { Origins } from "../access/origins.ts";
import type { Principal } from "../access/principal.ts";
import type { Quota } from "../access/quotas.ts";
import type { Clock } from "../runtime/clock.ts";

/**
 * How somebody may say who it is: `header`, with every request; `reading`, also by what a page can send that has no way to
 * set a header. `none`: nobody is asked.
 */
export type Identification = "none" | "header" | "reading";

/** Who is at the other end of a connection. */
export interface Peer {
  readonly address: string;
  /** Whether it came over TLS, to the hub or to the proxy in front of it. */
  readonly secure: boolean;
  /** Whether the connection is its own and no proxy's. */
  readonly direct: boolean;
}

/** Somebody who was let in. */
export interface Visitor {
  readonly principal: Principal;
  readonly quota: Quota;
  readonly peer: Peer;
  /** With what it was let in, as far as it was with anything. */
  readonly token: string | undefined;
  readonly cameByTicket: boolean;
}

export interface EntranceParts {
  readonly access: Access;
  readonly origins: Origins;
  readonly clock: Clock;
  readonly peerOf: (request: IncomingMessage) => Peer;
}

interface Shown {
  readonly token: string | undefined;
  readonly cameByTicket?: boolean;
}

/** The largest token that is put into a cookie; browsers keep cookies of up to 4,096 bytes. */
const cookieBytesMax = 3_800;

/** How long a cookie lives whose token never expires. */
const cookieSecondsMax = 24 * 60 * 60;

export class Entrance {
  readonly #parts: EntranceParts;

  constructor(parts: EntranceParts) {
    this.#parts = parts;
  }

  /**
   * Lets somebody in.
   *
   * @throws DogearError `origin-refused`, `unauthorized`, `token-expired`, `revoked`, `access-unavailable`
   */
  async admit(request: IncomingMessage, how: Identification, ticket: string | undefined): Promise<Visitor> {
    const { access, origins, peerOf } = this.#parts;
    const { origin, host } = request.headers;
    if (!origins.allows({ origin, host })) throw dogearError("origin-refused");
    const peer = peerOf(request);
    const { token, cameByTicket = false } = access.isOpen ? { token: undefined } : this.#shown(request, how, ticket);
    const principal = await access.authenticate({ token, address: peer.address });
    return { principal, quota: access.quotaOf(principal), peer, token, cameByTicket };
  }

  /** Whether somebody who was let in has no business here any more: for those who stay a while. */
  check({ principal }: Visitor): void {
    const { access } = this.#parts;
    if (access.isRevoked(principal)) throw dogearError("revoked");
    if (access.hasExpired(principal)) throw dogearError("token-expired");
  }

  /** Gives a browser in a cookie what its ticket stood for: a URL with a used ticket is what it comes back with. */
  rememberIn(response: ServerResponse, { token, cameByTicket, peer, principal }: Visitor): void {
    if (!cameByTicket || token === undefined || encodeURIComponent(token).length > cookieBytesMax) return;
    const { access, clock } = this.#parts;
    // Browsers keep cookies of such names only where they came over TLS.
    if (/^__(?:host|secure)-/i.test(access.cookie) && !peer.secure) return;
    const livesMs = (principal.expires ?? Number.POSITIVE_INFINITY) - clock.now();
    const cookie = serialize(access.cookie, token, {
      httpOnly: true,
      sameSite: "Strict",
      path: /^__host-/i.test(access.cookie) ? "/" : "/events",
      maxAge: Math.min(cookieSecondsMax, Math.floor(livesMs / 1_000)),
      secure: peer.secure,
    });
    response.setHeader("set-cookie", cookie);
  }

  #shown(request: IncomingMessage, how: Identification, ticket: string | undefined): Shown {
    const { authorization } = request.headers;
    if (authorization !== undefined) return { token: bearer(authorization) };
    const inCookie = how === "reading" ? this.#cookieOf(request) : undefined;
    if (how !== "reading" || ticket === undefined) return { token: inCookie };
    try {
      return { token: this.#parts.access.tickets.redeem(ticket), cameByTicket: true };
    } catch (error) {
      if (inCookie === undefined || !(error instanceof DogearError)) throw error;
      return { token: inCookie };
    }
  }

  /** A browser sends cookies for whatever page asks it to, so it must say that it is no page of somebody else's. */
  #cookieOf({ headers }: IncomingMessage): string | undefined {
    if (headers["sec-fetch-site"] === "cross-site" || headers.cookie === undefined) return undefined;
    const { cookie } = this.#parts.access;
    return parse(headers.cookie, cookie)[cookie];
  }
}

function bearer(authorization: string): string {
  const [, token = ""] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (token === "" || token.length > tokenLengthMax) throw dogearError("unauthorized", "It is no Bearer token.");
  return token;
}
