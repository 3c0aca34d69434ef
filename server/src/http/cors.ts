/** What browsers ask before pages of other origins may use the hub (the Fetch standard, "CORS protocol"). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { dogearError } from "@dogear/shared";
import type { Origins } from "../access/origins.ts";

/** How long a browser may remember what it was told. */
const rememberedSeconds = 7_200;

/** Lets pages of an allowed origin read the answer. */
export function shareWith(origins: Origins, { headers }: IncomingMessage, response: ServerResponse): void {
  const { origin, host } = headers;
  response.setHeader("vary", "Origin");
  if (origin === undefined || !origins.allows({ origin, host })) return;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", "Retry-After");
  // Cookies are for the pages of those who were named, and not for everybody's.
  if (origins.isNamed(origin)) response.setHeader("access-control-allow-credentials", "true");
}

/**
 * Answers what a browser, or anybody, asks about a path before using it.
 *
 * @throws DogearError `origin-refused`
 */
export function answerOptions(
  origins: Origins,
  { headers }: IncomingMessage,
  response: ServerResponse,
  methods: string,
): void {
  const { origin, host } = headers;
  response.setHeader("allow", methods);
  if (headers["access-control-request-method"] !== undefined) {
    if (!origins.allows({ origin, host })) throw dogearError("origin-refused");
    response.setHeader("access-control-allow-methods", methods);
    response.setHeader("access-control-max-age", rememberedSeconds);
    // Of which headers there may be any number: those of a message have names that its publisher chooses.
    const asked = headers["access-control-request-headers"];
    if (asked !== undefined) response.setHeader("access-control-allow-headers", asked);
  }
  response.writeHead(204).end();
}
