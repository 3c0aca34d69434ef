/** Says what a schema has against something, for whoever sent it. */
import type { ErrorCode } from "@dogear/shared";
import type { z } from "zod";

type Issue = z.core.$ZodIssue;

/** The error that a wrong field has of its own, where it has one. One that is missing is no name at all. */
export function codeOfIssue(fields: object, issue: Issue | undefined): ErrorCode | undefined {
  const field = issue?.path[0] as string | undefined;
  return field !== undefined && Object.hasOwn(codes, field) && field in fields ? codes[field] : undefined;
}

const codes: Readonly<Record<string, ErrorCode>> = {
  channel: "invalid-channel",
  pattern: "invalid-pattern",
  group: "invalid-group",
};

/** What is wrong, and where. */
export function describeIssue(issue: Issue | undefined): string {
  const where = issue === undefined || issue.path.length === 0 ? "" : `\`${issue.path.join(".")}\`: `;
  return shortened(`${where}${issue?.message ?? ""}.`);
}

/** Longest part of a mistake that is repeated to whoever made it. */
const detailLengthMax = 200;

export function shortened(detail: string): string {
  return detail.length <= detailLengthMax ? detail : `${detail.slice(0, detailLengthMax)}…`;
}
