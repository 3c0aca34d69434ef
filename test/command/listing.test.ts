import fc from "fast-check";
import widthOf from "string-width";
import { expect, test } from "vitest";
import type { Column } from "../../server/src/command/operate/columns.ts";
import { printAll } from "../../server/src/command/operate/listing.ts";
import { Output } from "../../server/src/command/operate/output.ts";
import { Terminal } from "./support.ts";

type Row = readonly [string, number, string];

const columns: readonly Column<Row>[] = [
  { title: "text", of: ([text]) => text, cut: true },
  { title: "amount", of: ([, amount]) => amount, right: true },
  { title: "data", of: ([, , data]) => data, cut: true },
];

/** What a table of these rows looks like on a terminal this wide, or, where none is named, in a file. */
async function printed(rows: readonly Row[], width?: number): Promise<string> {
  const { stdout } = new Terminal(width ?? 0);
  const chunks: string[] = [];
  stdout.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  const output = new Output({ stdout: width === undefined ? Object.assign(stdout, { isTTY: false }) : stdout });
  const each = async function* () {
    yield* rows;
  };
  expect(await printAll(each(), columns, { output, json: false, say: () => {} }, "")).toBe(rows.length);
  return chunks.join("");
}

const text = fc.string({ unit: "grapheme", maxLength: 80 });
const rows = fc.array(fc.tuple(text, fc.nat(), text), { minLength: 1, maxLength: 20 });

test("on a terminal every line fits, whatever the rows say", async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 48, max: 120 }), async (rows, width) => {
      const lines = (await printed(rows, width)).split("\n");
      expect(lines).toHaveLength(rows.length + 2);
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
    }),
  );
});

test("in a file nothing is cut, and columns begin where their titles do", async () => {
  const long = "値段 ".repeat(200);
  const [head = "", first, second] = (
    await printed([
      ["a", 1, long],
      ["日本", 12_345, "b"],
    ])
  ).split("\n");
  expect([head, first, second]).toEqual(["TEXT  AMOUNT  DATA", `a          1  ${long}`, "日本   12345  b"]);
});

test("a table of more rows than are measured at once has one head", async () => {
  const many = Array.from({ length: 2_500 }, (_, index): Row => [`${index}`, index, "x"]);
  const lines = (await printed(many)).split("\n").filter((line) => line !== "");
  expect(lines).toHaveLength(2_501);
  expect(lines.filter((line) => line.startsWith("TEXT"))).toHaveLength(1);
});
