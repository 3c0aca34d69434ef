/** Pages from replicas that lag behind, whose leader knows better. */
import type { Channel, Offset } from "@dogear/shared";
import { expect, it } from "vitest";
import type { LeaderMessage, StreamFacts } from "../../../server/src/engine/jetstream/log-stream.ts";
import { Subjects } from "../../../server/src/engine/jetstream/names.ts";
import { PageReader } from "../../../server/src/engine/jetstream/page-reader.ts";
import { bodyOf } from "../../../server/src/engine/text.ts";
import { all, draft, parsed, plenty } from "../../contract/support.ts";

const subjects = new Subjects("t", "default");
const at = (offset: number) => ({ offset: offset as Offset, body: bodyOf(draft("a", offset), 1) });

/** The leader has messages with the offsets from 1 to `newest`, and a replica those to `lagging`. */
function reader(newest: number, lagging: number): PageReader {
  const offsets = Array.from({ length: newest }, (_, i) => i + 1);
  const facts: StreamFacts = { id: "e", oldest: 1 as Offset, newest: newest as Offset, bytes: 0 };
  return new PageReader({
    stream: {
      subjects,
      nextFrom: async (from): Promise<LeaderMessage | undefined> =>
        from > newest ? undefined : { ...at(from), subject: subjects.of("a" as Channel, "_"), number: 0 },
    },
    direct: {
      read: async (from, _, messagesMax) => {
        const found = offsets.filter((offset) => offset >= from && offset <= lagging);
        const messages = found.slice(0, messagesMax).map((offset) => ({ ...at(offset), channel: "a" as Channel }));
        return { messages, pending: found.length - messages.length };
      },
    },
    removals: { of: async () => undefined },
    incarnation: { newest: facts.newest, facts: async () => facts },
  });
}

async function read(
  pages: PageReader,
  after: number,
): Promise<{ readonly offsets: number[]; readonly through: number }> {
  const { messages, through } = await pages.read(all, after as Offset, plenty);
  return { offsets: parsed(messages).map(({ offset }) => offset), through };
}

it("ends a page with what the leader has behind a replica's end", async () => {
  expect(await read(reader(5, 2), 0)).toEqual({ offsets: [1, 2, 3], through: 3 });
});

it("has a page without messages only where there is nothing", async () => {
  const lagging = reader(5, 2);
  expect(await read(lagging, 3)).toEqual({ offsets: [4], through: 4 });
  expect(await read(lagging, 4)).toEqual({ offsets: [5], through: 5 });
  expect(await read(lagging, 5)).toEqual({ offsets: [], through: 5 });
});
