/** Holes in what is read. */
import type { Offset } from "@dogear/shared";
import { expect, it } from "vitest";
import { Messages } from "../../server/src/engine/messages.ts";
import { joinHoles, type Stretch } from "../../server/src/engine/page.ts";

const stretches = (kinds: readonly ("hole" | "messages")[]): Stretch[] =>
  kinds.map((kind, i) => ({ messages: kind === "hole" ? undefined : Messages.none, through: (i + 1) as Offset }));

const told = (kinds: readonly ("hole" | "messages")[]) =>
  [...joinHoles(stretches(kinds))].map(({ messages, through }) => [
    messages === undefined ? "hole" : "messages",
    through,
  ]);

it("holes that follow each other are one, and nothing else changes", () => {
  expect(told(["hole", "hole", "messages", "hole", "messages", "messages", "hole"])).toEqual([
    ["hole", 2],
    ["messages", 3],
    ["hole", 4],
    ["messages", 5],
    ["messages", 6],
    ["hole", 7],
  ]);
});

it("so many holes that looking at all of them would take long are told in parts, whatever came before", () => {
  const before = Array.from({ length: 1_500 }, () => "messages" as const);
  const holes = Array.from({ length: 2_500 }, () => "hole" as const);
  expect(told([...before, ...holes]).slice(1_500)).toEqual([
    ["hole", 2_500],
    ["hole", 3_500],
    ["hole", 4_000],
  ]);
});
