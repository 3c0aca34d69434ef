/** What the proxy's network does to bytes, and what it never does. */
import { EventEmitter, once } from "node:events";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { Pipe } from "../support/pipe.ts";

const count = 200;

it("lets nothing overtake what was sent before it, however late timers are", async () => {
  const from = new EventEmitter() as Socket;
  const to = new PassThrough();
  let sent = 0;
  const conditions = { delayMs: 2, jitterMs: 15 };
  new Pipe({ from, to: to as unknown as Socket, conditions, random: () => (sent % 2 === 0 ? 1 : 0) });
  for (; sent < count; sent++) {
    from.emit("data", Buffer.of(sent));
    // Timers count whole milliseconds, each from another one on.
    const since = performance.now();
    while (performance.now() - since < 0.3);
  }
  const arrived: number[] = [];
  to.on("data", (bytes: Buffer) => arrived.push(...bytes));
  while (arrived.length < count) await once(to, "data");
  expect(arrived).toEqual(Array.from({ length: count }, (_, i) => i));
});
