/**
 * What a route is: the schemas of what it takes, what it answers, and which errors it knows. The same schemas check requests
 * and are what the OpenAPI document says.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { dogearError, type ErrorCode } from "@dogear/shared";
import type { RouteConfig } from "@hono/zod-openapi";
import { z } from "zod";
import { codeOfIssue, describeIssue } from "../codec/mistakes.ts";
import type { Identification, Visitor } from "./entrance.ts";

type Fields = z.ZodObject;

/** A request that was found in order. */
export interface Asked<P, Q> {
  readonly params: P;
  readonly query: Q;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface Route {
  readonly method: "get" | "post" | "delete";
  /** As OpenAPI writes it: `/publish/{channel}`. */
  readonly path: string;
  readonly summary: string;
  readonly identification: Identification;
  readonly params: Fields;
  readonly query: Fields;
  /** Headers that it looks at, for those who read about it. */
  readonly headers: Fields | undefined;
  readonly body: Content | undefined;
  readonly answers: RouteConfig["responses"];
  /** Errors of its own; those of every route are not named. */
  readonly errors: readonly ErrorCode[];
  answer(asked: Asked<unknown, unknown>, visitor: Visitor | undefined): Promise<void> | void;
}

type Content = NonNullable<RouteConfig["request"]>["body"];

interface Description<P extends Fields, Q extends Fields>
  extends Pick<Route, "method" | "path" | "summary" | "answers"> {
  readonly params?: P;
  readonly query?: Q;
  readonly headers?: Fields;
  readonly body?: Content;
  readonly errors?: readonly ErrorCode[];
}

type Identified<P extends Fields, Q extends Fields> = Description<P, Q> & {
  readonly identification: Exclude<Identification, "none">;
  answer(asked: Asked<z.infer<P>, z.infer<Q>>, visitor: Visitor): Promise<void> | void;
};

type Open<P extends Fields, Q extends Fields> = Description<P, Q> & {
  answer(asked: Asked<z.infer<P>, z.infer<Q>>): Promise<void> | void;
};

type Nothing = z.ZodObject<Record<never, never>>;
const nothing: Nothing = z.strictObject({});

/** A route for those who say who they are. */
export function route<P extends Fields = Nothing, Q extends Fields = Nothing>(description: Identified<P, Q>): Route {
  return complete(description, description.identification, (asked, visitor) =>
    description.answer(asked as Asked<z.infer<P>, z.infer<Q>>, visitor as Visitor),
  );
}

/** A route for everyone. */
export function openRoute<P extends Fields = Nothing, Q extends Fields = Nothing>(description: Open<P, Q>): Route {
  return complete(description, "none", (asked) => description.answer(asked as Asked<z.infer<P>, z.infer<Q>>));
}

function complete(
  { params = nothing, query = nothing, headers, body, errors = [], ...rest }: Description<Fields, Fields>,
  identification: Identification,
  answer: Route["answer"],
): Route {
  return { ...rest, identification, params, query, headers, body, errors, answer };
}

/** One value of each name; of several nobody can know which is meant. */
export function singly(named: Readonly<Record<string, readonly string[]>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(named).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

/**
 * What a schema makes of something that came.
 *
 * @throws DogearError `invalid-channel`, `invalid-pattern`, `invalid-group`, `invalid-request`
 */
export function valid<S extends z.ZodType>(schema: S, value: object): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw dogearError(codeOfIssue(value, issue) ?? "invalid-request", describeIssue(issue));
}

/** A number as it stands in a URL. */
export function inUrl<S extends z.ZodType>(schema: S): z.ZodPreprocess<S> {
  const toNumber = (text: unknown) => (typeof text === "string" && /^\d{1,16}$/.test(text) ? Number(text) : text);
  return z.preprocess(toNumber, schema);
}

/** Content of JSON, for a description. */
export function json(schema: z.ZodType): { readonly "application/json": { readonly schema: z.ZodType } } {
  return { "application/json": { schema } };
}
