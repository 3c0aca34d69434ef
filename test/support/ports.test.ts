import { expect, test } from "vitest";
import { freePorts } from "./ports.ts";

test("a port whose server is just being started again is given to nobody else", async () => {
  const all = [...(await freePorts(300)), ...(await freePorts(300))];
  expect(new Set(all).size).toBe(all.length);
});
