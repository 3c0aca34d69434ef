/** Heartbeats, close codes, draining, and a connection that the hub stops reading for a while. */
import { errors, mayReconnect } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { open } from "../support/bare-socket.ts";
import { RawSocket } from "./raw-socket.ts";
import { count, expectGoodService, greet, hello, publish, startHub } from "./support.ts";

describe("the heartbeat", () => {
  it("is a ping every heartbeatMs, which a client answers (P-13)", async () => {
    const socket = await greet(await startHub({ limits: { heartbeatMs: 200, heartbeatGraceMs: 150 } }));
    for (let beat = 1; beat <= 4; beat++) {
      await socket.next("ping");
      socket.send({ is: "pong" });
    }
  });

  it("can be another by the client's wish, and welcome says which (P-13)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100 } });
    const slow = await open(hub.url);
    slow.send(hello({ heartbeatMs: 1_000 }));
    expect(await slow.next("welcome")).toMatchObject({ heartbeatMs: 1_000 });
    const usual = await greet(hub);
    await usual.next("ping");
    expect(slow.frames).toHaveLength(1);
    await slow.next("ping");
  });

  it.each([999, 900_001, 1_500.5])("cannot be %d ms (P-13)", async (heartbeatMs) => {
    const socket = await open((await startHub()).url);
    socket.send(hello({ heartbeatMs }));
    expect(await socket.next()).toMatchObject({ is: "error" });
  });

  it("that is not answered closes the session (P-14)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 200, heartbeatGraceMs: 200 } });
    const socket = await greet(hub);
    await socket.next("ping");
    expect(await socket.next("error")).toMatchObject({ code: "heartbeat-timeout" });
    expect(await socket.closed).toEqual({ code: 4003, reason: "heartbeat-timeout" });
    await expectGoodService(hub);
  });

  it("takes anything that arrives for an answer (P-14)", async () => {
    const socket = await greet(await startHub({ limits: { heartbeatMs: 200, heartbeatGraceMs: 200 } }));
    for (let beat = 1; beat <= 4; beat++) {
      await socket.next("ping");
      await publish(socket, "a", beat);
    }
  });

  it("is answered by a WebSocket message that is still on its way (P-14)", async () => {
    const hub = await startHub({ limits: { heartbeatMs: 100, heartbeatGraceMs: 300 } });
    const socket = await RawSocket.greet(hub);
    const slowly = JSON.stringify({ is: "publish", number: 1, channel: "a", data: "a slow line" });
    // Each byte comes well within the grace, all of them together long after it.
    await socket.trickle(RawSocket.frame(slowly), 15);
    expect(await socket.untilText('"published"')).not.toContain("heartbeat-timeout");
  });
});

describe("a close code", () => {
  it("says by its range whether to come back, as the table of errors does (P-15)", () => {
    for (const [name, error] of Object.entries(errors)) {
      if (error.closeCode === undefined) continue;
      expect({ name, back: mayReconnect(error.closeCode) }).toEqual({ name, back: error.retry === "reconnect" });
      expect(error.closeCode >= 4_000 && error.closeCode <= 4_999).toBe(true);
    }
    for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 3000]) expect(mayReconnect(code)).toBe(true);
    expect([4_000, 4_499, 4_500, 4_999].map(mayReconnect)).toEqual([true, true, false, false]);
  });
});

describe("a hub that stops", () => {
  it("asks each session to come back after a while of its own, and closes with 4001 (P-16)", async () => {
    const hub = await startHub();
    const sockets = await Promise.all(count(1, 12).map(() => greet(hub)));
    const closing = hub.close();
    const waits: number[] = [];
    for (const socket of sockets) {
      waits.push((await socket.next("draining")).reconnectAfterMs);
      expect(await socket.closed).toEqual({ code: 4001, reason: "draining" });
    }
    expect(new Set(waits).size).toBeGreaterThan(6);
    await closing;
  });

  it("first answers what it has taken (P-16)", async () => {
    const hub = await startHub();
    const publisher = await greet(hub);
    const witness = await greet(hub);
    publisher.send([
      ...count(1, 500).map((number) => ({ is: "publish", number, channel: "a", data: "x".repeat(1_000) })),
      { is: "ack", subscription: 1, offset: 0 },
    ]);
    // This is answered at once, and the drafts when they are on the disk.
    expect(await publisher.next()).toMatchObject({ is: "error", code: "unknown-subscription" });
    const closing = hub.close();
    for (let number = 1; number <= 500; number++) expect((await publisher.next("published")).number).toBe(number);
    expect(await publisher.next("error")).toMatchObject({ code: "draining" });
    expect((await witness.closed).code).toBe(4001);
    await closing;
  });

  it("does not wait for a client that never answers (P-16)", async () => {
    const hub = await startHub();
    const deaf = await greet(hub);
    deaf.pause();
    const silent = await open(hub.url);
    await hub.close();
    expect((await silent.closed).code).toBe(4001);
    await expect(open(hub.url)).rejects.toThrow();
  });
});

describe("a connection", () => {
  it("is read on when its drafts have been answered, and nothing is dropped (P-17)", async () => {
    const socket = await greet(await startHub({ limits: { draftBytesMax: 5_000 } }));
    for (const number of count(1, 300)) socket.send({ is: "publish", number, channel: "a", data: "x".repeat(1_000) });
    for (const number of count(1, 300)) expect((await socket.next("published")).number).toBe(number);
  });

  it("that does not read its answers is not read either, and nothing is dropped (P-17)", async () => {
    const hub = await startHub({ limits: { outboxBytesMax: 65_536, errorsMax: 1_000_000 } });
    const socket = new WebSocket(hub.url, "dogear.v1.json");
    await new Promise((resolve) => socket.once("open", resolve));
    let answers = 0;
    socket.on("message", (message) => {
      answers += [JSON.parse(String(message))].flat().filter(({ is }) => is === "published").length;
    });
    socket.send(JSON.stringify(hello()));
    socket.pause();
    // Answers are about twice as long as drafts so short; only so many fit into the buffers between hub and client.
    const drafts = 80_000;
    for (let number = 1; number <= drafts; number += 1_000) {
      // Every other one, as what follows one another is answered at once.
      const some = count(number, number + 999).map((n) => ({ is: "publish", number: 2 * n, channel: "a", data: 0 }));
      socket.send(JSON.stringify(some));
    }
    await expectGoodService(hub);
    socket.resume();
    await expect.poll(() => answers, { timeout: 20_000 }).toBe(drafts);
    socket.terminate();
  });
});
