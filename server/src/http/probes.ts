/** What machines ask that look after the hub: is it alive, is it ready, and what can it do. */
import { dogearError, type Pattern } from "@dogear/shared";
import { z } from "zod";
import { missing } from "../access/access.ts";
import type { Metrics } from "../runtime/metrics.ts";
import { answer, answerJson } from "./answers.ts";
import { json, openRoute, type Route, route } from "./route.ts";

export interface ProbeParts {
  readonly metrics: Metrics;
  /** Why nobody should be sent here now; `undefined` where there is no reason. */
  readonly unready: () => string | undefined;
  /** The OpenAPI document. */
  readonly description: () => string;
}

const everything = ">" as Pattern;

export function probeRoutes({ metrics, unready, description }: ProbeParts): readonly Route[] {
  return [
    openRoute({
      method: "get",
      path: "/healthz",
      summary: "Whether the process answers",
      answers: { 200: { description: "It does", content: json(z.strictObject({ alive: z.literal(true) })) } },
      answer: ({ response }) => answerJson(response, 200, { alive: true }),
    }),
    openRoute({
      method: "get",
      path: "/readyz",
      summary: "Whether the hub takes requests",
      answers: {
        200: { description: "It does", content: json(z.strictObject({ ready: z.literal(true) })) },
        503: {
          description: "It does not",
          content: json(z.strictObject({ ready: z.literal(false), why: z.string() })),
        },
      },
      answer: ({ response }) => {
        const why = unready();
        answerJson(
          response,
          why === undefined ? 200 : 503,
          why === undefined ? { ready: true } : { ready: false, why },
        );
      },
    }),
    route({
      method: "get",
      path: "/metrics",
      summary: "What the hub counts, for Prometheus",
      // Also for this machine itself: what comes from it may come through a proxy that nobody told the hub of.
      identification: "header",
      answers: { 200: { description: "The text format", content: { "text/plain": { schema: z.string() } } } },
      errors: ["forbidden"],
      answer: async ({ response }, { principal }) => {
        if (!principal.permissions.may("admin", everything)) {
          throw dogearError("forbidden", missing("admin", everything));
        }
        answer(response, 200, metrics.contentType, await metrics.text());
      },
    }),
    openRoute({
      method: "get",
      path: "/openapi.json",
      summary: "This description",
      answers: { 200: { description: "An OpenAPI document", content: json(z.unknown()) } },
      answer: ({ response }) => answer(response, 200, "application/json", description()),
    }),
  ];
}
