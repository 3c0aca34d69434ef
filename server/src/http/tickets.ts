/** `POST /ticket`: what a page puts into the URL of an `EventSource` instead of its token. */
import { z } from "zod";
import type { Access } from "../access/access.ts";
import { answerJson } from "./answers.ts";
import { json, type Route, route } from "./route.ts";

const ticket = z.strictObject({ ticket: z.string(), expiresInMs: z.number().int() });

export function ticketRoute(access: Access): Route {
  return route({
    method: "post",
    path: "/ticket",
    summary: "Get a ticket that stands for the token it is asked for with, good once and soon",
    identification: "header",
    answers: { 200: { description: "The ticket", content: json(ticket) } },
    answer: ({ response }, { token }) => answerJson(response, 200, access.tickets.issue(token)),
  });
}
