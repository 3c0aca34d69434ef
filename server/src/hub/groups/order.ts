/** What orders a group's messages (P-60). */
import type { GroupPolicy, WireMessage } from "@dogear/shared";
import type { Messages } from "../../engine/messages.ts";
import { textOf } from "../../engine/text.ts";

/** The one key of messages that are all in one order. */
const everything = "";

const keyField = Buffer.from('"key":');

/** The key by which a message is ordered; `undefined` where nothing orders it. */
export function orderOf(order: GroupPolicy["order"], messages: Messages, i: number): string | undefined {
  if (order === "none") return undefined;
  if (order === "all") return everything;
  const text = textOf(messages, i);
  // Most messages of a group ordered by key have one; parsing is for those that may.
  return text.includes(keyField) ? (JSON.parse(text.toString()) as WireMessage).key : undefined;
}
