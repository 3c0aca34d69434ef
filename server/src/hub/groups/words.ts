/**
 * What is said over the link between the hub that a member is connected to and the hub that owns its group. Each member's
 * connection is a port with a name.
 *
 *     member's hub     join    open    settle    leave    detach
 *     owner            joined  refused leased    settled  lost     left   ended
 */
import type { DeclaredPolicy, ErrorCode, Offset, Pattern } from "@dogear/shared";
import type { LeasedText } from "../../codec/codec.ts";
import type { Claimant } from "../claimant.ts";
import type { Settlement } from "./leases.ts";
import type { Joined } from "./port.ts";

/** A group as a member of another hub declares it. */
export interface DeclaredThere {
  readonly namespace: string;
  readonly name: string;
  readonly pattern: Pattern;
  readonly policy: DeclaredPolicy;
}

/** What the hub of a member says. */
export type MemberWord = { readonly port: string } & (
  | {
      readonly say: "join";
      readonly group: DeclaredThere;
      readonly id: string;
      readonly by?: Claimant | undefined;
      readonly window: number;
      readonly holding: readonly Offset[];
    }
  | { readonly say: "open"; readonly open: boolean }
  | { readonly say: "settle"; readonly fences: readonly number[]; readonly settlement: Settlement }
  | { readonly say: "leave"; readonly holding: readonly Offset[] }
  | { readonly say: "detach" }
);

/** What the owner of the group says. */
export type OwnerWord = { readonly port: string } & (
  | { readonly say: "joined"; readonly joined: Joined }
  | { readonly say: "refused"; readonly code: ErrorCode; readonly message: string }
  | { readonly say: "leased"; readonly leased: readonly LeasedText[] }
  | { readonly say: "settled" | "lost"; readonly fences: readonly number[] }
  | { readonly say: "left" }
  | { readonly say: "ended"; readonly code: ErrorCode }
);

type Word = MemberWord | OwnerWord;

/** A message without its text, which comes behind the word. */
type Bare = Omit<LeasedText, "text"> & { readonly bytes: number };

const newline = 0x0a;

/** A line of JSON, and after it the texts of what is leased, as they are. */
export function writeWord(word: Word): Buffer {
  if (word.say !== "leased") return Buffer.from(JSON.stringify(word));
  const leased = word.leased.map(({ text, ...bare }): Bare => ({ ...bare, bytes: text.length }));
  const line = Buffer.from(`${JSON.stringify({ ...word, leased })}\n`);
  return Buffer.concat([line, ...word.leased.map(({ text }) => text)]);
}

export function readWord<W extends Word>(words: Buffer): W {
  const lineEnd = words.indexOf(newline);
  if (lineEnd < 0) return JSON.parse(words.toString()) as W;
  const word = JSON.parse(words.toString("utf8", 0, lineEnd)) as { leased: readonly Bare[] };
  let at = lineEnd + 1;
  const leased = word.leased.map(({ bytes, ...bare }): LeasedText => {
    at += bytes;
    return { ...bare, text: words.subarray(at - bytes, at) };
  });
  return { ...word, leased } as unknown as W;
}
