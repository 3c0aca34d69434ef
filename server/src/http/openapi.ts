/** The door described for machines: an OpenAPI 3.1 document, made of the schemas that requests are checked by. */
import { type ErrorCode, sentences } from "@dogear/shared";
import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { z } from "zod";
import type { Identification } from "./entrance.ts";
import type { Route } from "./route.ts";
import { statuses } from "./statuses.ts";

/** What every error says. */
export const errorSchema: z.ZodType = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    retry: z.enum(["no", "later", "reconnect"]),
  }),
});

/** Errors of every route that asks who comes. */
const errorsOfIdentified: readonly ErrorCode[] = [
  "unauthorized",
  "token-expired",
  "revoked",
  "origin-refused",
  "access-unavailable",
  "draining",
];

const security: Readonly<Record<Identification, NonNullable<RouteConfig["security"]>>> = {
  none: [],
  header: [{ bearer: [] }],
  reading: [{ bearer: [] }, { ticket: [] }, { cookie: [] }],
};

/** The document, as text. */
export function describe(routes: readonly Route[], version: string, cookie: string): string {
  const app = new OpenAPIHono();
  const { openAPIRegistry: registry } = app;
  registry.register("Error", errorSchema);
  registry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "A token or an API key",
  });
  registry.registerComponent("securitySchemes", "ticket", {
    type: "apiKey",
    in: "query",
    name: "ticket",
    description: "From POST /ticket; good once",
  });
  registry.registerComponent("securitySchemes", "cookie", { type: "apiKey", in: "cookie", name: cookie });
  for (const route of routes) registry.registerPath(specOf(route));
  const info = { title: "Dogear", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } };
  return JSON.stringify(app.getOpenAPI31Document({ openapi: "3.1.0", info, servers: [{ url: "/" }] }));
}

function specOf({ method, path, summary, identification, ...route }: Route): RouteConfig {
  const codes: readonly ErrorCode[] = [
    "invalid-request",
    ...(identification === "none" ? [] : errorsOfIdentified),
    ...route.errors,
    "internal",
  ];
  const { params, query, headers, body } = route;
  return {
    method,
    path,
    summary,
    operationId: operationId(method, path),
    security: security[identification],
    request: { params, query, ...(headers && { headers }), ...(body && { body }) },
    responses: { ...route.answers, ...refusals(codes) },
  };
}

/** What is said of each status that one of these errors has. */
function refusals(codes: readonly ErrorCode[]): RouteConfig["responses"] {
  const same = (status: number) => codes.filter((code) => statuses[code] === status);
  return Object.fromEntries(
    [...new Set(codes.map((code) => statuses[code]))].map((status) => [
      status,
      {
        description: same(status)
          .map((code) => `\`${code}\`: ${sentences[code]}`)
          .join(" "),
        content: { "application/json": { schema: errorSchema } },
      },
    ]),
  );
}

function operationId(method: string, path: string): string {
  const words = path.match(/\w+/g) ?? [];
  return [method, ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join("");
}
