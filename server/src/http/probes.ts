/** What machines ask that look after the hub: is it alive, is it ready, and what can it do. */
import { z } from "zod";
import { answer, answerJson } from "./answers.ts";
import { json, openRoute, type Route } from "./route.ts";

export interface ProbeParts {
  /** Why nobody should be sent here now; `undefined` where there is no reason. */
  readonly unready: () => string | undefined;
  /** The OpenAPI document. */
  readonly description: () => string;
}

export function probeRoutes({ unready, description }: ProbeParts): readonly Route[] {
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
    openRoute({
      method: "get",
      path: "/openapi.json",
      summary: "This description",
      answers: { 200: { description: "An OpenAPI document", content: json(z.unknown()) } },
      answer: ({ response }) => answer(response, 200, "application/json", description()),
    }),
  ];
}
