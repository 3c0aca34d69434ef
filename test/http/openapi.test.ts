/** The description of the door, and the one table of statuses. */
import { type ErrorCode, errors } from "@dogear/shared";
import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "vitest";
import { statuses } from "../../server/src/http/statuses.ts";
import { ask, startHub, users } from "./support.ts";

test("the description is an OpenAPI 3.1 document (P-82)", async () => {
  const hub = await startHub({ access: users() });
  const { status, json } = await ask(hub, "GET /openapi.json");
  expect([status, json.openapi]).toEqual([200, "3.1.0"]);
  const validator = new Validator();
  const { valid, errors: mistakes } = await validator.validate(json);
  expect([valid, mistakes]).toEqual([true, undefined]);
});

test("every route is described, with every error that it may answer (P-82)", async () => {
  const hub = await startHub();
  const { json } = await ask(hub, "GET /openapi.json");
  const described = Object.entries(json.paths as Record<string, Record<string, { responses: object }>>).flatMap(
    ([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.length).toBe(new Set(described).size);
  for (const one of described) {
    // Each is there: what is asked of it without the right words is not "there is nothing".
    const path = (one.split(" ")[1] as string).replaceAll(/\{\w+\}/g, "x");
    const { allow = "" } = (await ask(hub, `OPTIONS ${path}`)).headers;
    expect(allow.split(", ")).toContain(one.split(" ")[0]);
    const { responses } = json.paths[one.split(" ")[1] as string][(one.split(" ")[0] as string).toLowerCase()];
    expect(Object.keys(responses)).toContain("500");
  }
  expect(described).toContain("POST /publish/{channel}");
  expect(described).toContain("POST /admin/cursors/{user}/{subscriber}/{pattern}/reset");
});

test("every error has one status, and the status says what its advice says (P-70)", () => {
  const codes = Object.keys(errors) as ErrorCode[];
  expect(Object.keys(statuses).sort()).toEqual([...codes].sort());
  const expected: Partial<Record<ErrorCode, number>> = {
    unauthorized: 401,
    "token-expired": 401,
    revoked: 401,
    forbidden: 403,
    "origin-refused": 403,
    "not-found": 404,
    "message-too-large": 413,
    "rate-limited": 429,
    "too-many-connections": 429,
    "disk-full": 503,
    unavailable: 503,
    "access-unavailable": 503,
    draining: 503,
    internal: 500,
    "group-differs": 409,
  };
  for (const [code, status] of Object.entries(expected))
    expect([code, statuses[code as ErrorCode]]).toEqual([code, status]);
  for (const code of codes) {
    if (code.startsWith("invalid-")) expect([code, statuses[code]]).toEqual([code, 400]);
    if (code.startsWith("unknown-")) expect([code, statuses[code]]).toEqual([code, 404]);
    // Whoever reads only the status does not give up what it should ask again, nor ask again what is refused for good.
    if (statuses[code] === 503) expect(errors[code].retry).not.toBe("no");
  }
});
