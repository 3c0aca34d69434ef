/** Subjects of messages, and what the subjects of patterns select of them by the rules of NATS. */
import { type Channel, matcher, type Pattern } from "@dogear/shared";
import { describe, expect, test } from "vitest";
import { Subjects, selectsExactly, tokenOf } from "../../../server/src/engine/jetstream/names.ts";

const subjects = new Subjects("dogear", "default");
const channels = ["a", "a.b", "a.b.c", "b.a", "a.$dead.g", "a.b.$dead.g", "$x", "$x.$dead.g"] as Channel[];
const patterns = [
  "a",
  "a.b",
  "*",
  ">",
  "a.*",
  "a.>",
  "*.b",
  "*.*.c",
  "a.$dead.g",
  "*.$dead.g",
  "a.$dead.>",
] as Pattern[];

/** Whether a subject is selected by a filter, as a NATS server sees it. */
function selects(filter: string, subject: string): boolean {
  const [wanted, levels] = [filter.split("."), subject.split(".")];
  const isOpen = wanted.at(-1) === ">";
  if (isOpen ? levels.length < wanted.length : levels.length !== wanted.length) return false;
  return wanted.every((one, i) => one === ">" || one === "*" || one === levels[i]);
}

describe("the subjects of a namespace", () => {
  test("tell the channel, and what stands for the producer", () => {
    for (const channel of channels) {
      for (const token of ["_", tokenOf("someone")]) {
        const subject = subjects.of(channel, token);
        expect(subjects.channelOf(subject)).toBe(channel);
        expect(subjects.producerOf(subject)).toBe(token === "_" ? undefined : token);
        expect(selects(subjects.all, subject)).toBe(true);
        expect(selects(subjects.by(token), subject)).toBe(true);
        expect(selects(subjects.by(tokenOf("another")), subject)).toBe(false);
      }
    }
  });

  test.each(patterns)("select what matches %s, and nothing else where they say so", (pattern) => {
    const selected = channels.filter((channel) => selects(subjects.matching(pattern), subjects.of(channel, "_")));
    const matching = channels.filter(matcher(pattern));
    if (selectsExactly(pattern)) expect(selected).toEqual(matching);
    else expect(selected).toEqual(expect.arrayContaining(matching));
  });

  test("stand for producers by tokens that are a level of a subject", () => {
    const names = ["", "a", "a.b", "*", ">", "ü", "x".repeat(1_000)];
    const tokens = names.map(tokenOf);
    for (const token of tokens) expect(token).toMatch(/^[\w-]{22}$/);
    expect(new Set(tokens).size).toBe(names.length);
  });
});
