/** `/admin/…`: what operators ask for, each action under an address of its own. */
import { dogearError, type ErrorCode } from "@dogear/shared";
import {
  action,
  browsed,
  channelList,
  cursorList,
  cursorReport,
  groupList,
  groupReport,
  namespaceList,
  revoked,
  sessionList,
} from "@dogear/shared/envelopes";
import { z } from "zod";
import type { Administration } from "../hub/administration.ts";
import { answerJson, answerNothing } from "./answers.ts";
import { parseJson, readBody } from "./bodies.ts";
import { type Asked, inUrl, json, type Route, route, valid } from "./route.ts";

/** How an action is asked for. What is neither in the path nor in the body is in the query. */
interface Row {
  readonly at: `${"get" | "post" | "delete"} /admin/${string}`;
  readonly does: z.infer<typeof action>["do"];
  readonly summary: string;
  /** Nothing, where it is left out. */
  readonly gives?: z.ZodType;
  readonly body?: readonly string[];
  readonly errors?: readonly ErrorCode[];
}

const cursor = "/admin/cursors/{user}/{subscriber}/{pattern}";
const group = "/admin/groups/{group}";
const cursorErrors: readonly ErrorCode[] = ["unknown-cursor", "invalid-pattern"];
const groupErrors: readonly ErrorCode[] = ["unknown-group", "invalid-group"];

const rows: readonly Row[] = [
  { at: "get /admin/namespaces", does: "list-namespaces", summary: "Namespaces", gives: namespaceList },
  { at: "get /admin/channels", does: "list-channels", summary: "Channels, by name", gives: channelList },
  { at: "get /admin/cursors", does: "list-cursors", summary: "Cursors, by name", gives: cursorList },
  { at: `get ${cursor}`, does: "show-cursor", summary: "A cursor", gives: cursorReport, errors: cursorErrors },
  {
    at: `post ${cursor}/reset`,
    does: "reset-cursor",
    summary: "Move a cursor",
    gives: cursorReport,
    body: ["to"],
    errors: [...cursorErrors, "disk-full", "unavailable"],
  },
  { at: "get /admin/groups", does: "list-groups", summary: "Groups, by name", gives: groupList },
  { at: `get ${group}`, does: "show-group", summary: "A group", gives: groupReport, errors: groupErrors },
  { at: `delete ${group}`, does: "delete-group", summary: "Forget a group", gives: groupReport, errors: groupErrors },
  { at: `post ${group}/pause`, does: "pause-group", summary: "Pause it", gives: groupReport, errors: groupErrors },
  { at: `post ${group}/resume`, does: "resume-group", summary: "Resume it", gives: groupReport, errors: groupErrors },
  {
    at: `post ${group}/reset`,
    does: "reset-group",
    summary: "Move its place",
    gives: groupReport,
    body: ["to"],
    errors: groupErrors,
  },
  {
    at: `post ${group}/redrive`,
    does: "redrive",
    summary: "Give it its dead letters once more",
    gives: groupReport,
    errors: groupErrors,
  },
  {
    at: `post ${group}/cancel-redrive`,
    does: "cancel-redrive",
    summary: "Stop giving it its dead letters",
    gives: groupReport,
    errors: groupErrors,
  },
  {
    at: `get ${group}/messages`,
    does: "browse-group",
    summary: "What it has not settled",
    gives: browsed,
    errors: groupErrors,
  },
  { at: "get /admin/sessions", does: "list-sessions", summary: "Sessions, by id", gives: sessionList },
  {
    at: "delete /admin/sessions/{session}",
    does: "disconnect",
    summary: "End a session",
    errors: ["unknown-session"],
  },
  {
    at: "post /admin/revocations",
    does: "revoke",
    summary: "Refuse a token, or the tokens of a user, from now on",
    gives: revoked,
    body: ["token", "user", "before"],
  },
  {
    at: "delete /admin/schedules/{id}",
    does: "cancel",
    summary: "Take back a message that was scheduled",
    errors: ["not-scheduled"],
  },
];

/** A request names what it is about, and that is not much. */
const bodyBytesMax = 64 * 1_024;

export function adminRoutes(administration: Administration): readonly Route[] {
  return rows.map((row) => routeOf(row, administration));
}

function routeOf({ at, does, summary, gives, body, errors = [] }: Row, administration: Administration): Route {
  const [method, path] = at.split(" ") as ["get" | "post" | "delete", string];
  const fields = fieldsOf(does);
  const inPath = (path.match(/(?<=\{)\w+(?=\})/g) ?? []) as readonly string[];
  const inQuery = Object.keys(fields).filter((name) => !inPath.includes(name) && !body?.includes(name));
  const given = body && z.strictObject(pick(fields, body));
  return route({
    method,
    path,
    summary,
    identification: "header",
    params: z.strictObject(pick(fields, inPath)),
    query: z.strictObject(Object.fromEntries(inQuery.map((name) => [name, asText(fields[name] as z.ZodType)]))),
    ...(given && { body: { required: true, content: json(given) } }),
    answers:
      gives === undefined
        ? { 204: { description: "It is done" } }
        : { 200: { description: "What there is now", content: json(gives) } },
    errors: [
      "forbidden",
      ...errors,
      ...(body === undefined ? [] : (["message-too-large", "invalid-payload"] as const)),
    ],
    answer: async ({ params, query, request, response }, { principal }) => {
      const asked = { do: does, ...params, ...query, ...(given && (await bodyOf(request, given))) };
      const result = await administration.perform(valid(action, asked), principal.permissions);
      if (result === null) answerNothing(response);
      else answerJson(response, 200, result);
    },
  });
}

/** The fields of an action, as the schema of all actions has them. */
function fieldsOf(does: Row["does"]): Readonly<Record<string, z.ZodType>> {
  const option = action.options.find(({ shape }) => shape.do.value === does);
  if (option === undefined) throw new Error(`There is no action ${does}.`);
  const { do: _, ...fields } = option.shape as Readonly<Record<string, z.ZodType>>;
  return fields;
}

function pick(fields: Readonly<Record<string, z.ZodType>>, names: readonly string[]): Record<string, z.ZodType> {
  return Object.fromEntries(names.map((name) => [name, fields[name] as z.ZodType]));
}

/** The same field as it stands in a URL, where a number is digits. */
function asText(field: z.ZodType): z.ZodType {
  return field.safeParse(1).success ? inUrl(field).optional() : field;
}

async function bodyOf(request: Asked<unknown, unknown>["request"], schema: z.ZodObject): Promise<object> {
  const parsed = parseJson(await readBody(request, bodyBytesMax));
  if (typeof parsed !== "object" || parsed === null) throw dogearError("invalid-request", "The body is no object.");
  return valid(schema, parsed);
}
