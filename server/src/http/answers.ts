/** Answers requests. Every error has the same body, so that a client needs to know one. */
import type { ServerResponse } from "node:http";
import { type DogearError, dogearError, type ErrorCode, errors } from "@dogear/shared";
import { statuses } from "./statuses.ts";

/** What an error says of itself. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retry: string;
}

export function answer(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body), ...always });
  response.end(body);
}

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  answer(response, status, "application/json", JSON.stringify(body));
}

export function answerNothing(response: ServerResponse): void {
  response.writeHead(204, always).end();
}

/** Says why not. A `Retry-After` that is known better was set before. */
export function refuse(response: ServerResponse, error: DogearError, status: number = statuses[error.code]): void {
  // What began as something else cannot be taken back.
  if (response.headersSent) return void response.destroy();
  if (status === 401) response.setHeader("www-authenticate", "Bearer");
  if ((status === 429 || status === 503) && !response.hasHeader("retry-after")) response.setHeader("retry-after", "1");
  answerJson(response, status, { error: errorBody(error) });
}

export function errorBody({ code, message }: Pick<DogearError, "code" | "message">): ErrorBody {
  return { code, message, retry: errors[code].retry };
}

export function refuseNotFound(response: ServerResponse): void {
  refuse(response, dogearError("not-found"));
}

/** What is true a moment ago is no answer to the next request, and nothing is anything but what it says. */
const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;
