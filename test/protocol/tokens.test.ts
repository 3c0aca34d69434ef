/** Tokens on the wire: in hello, in refresh, and when they are good no more (P-66 to P-68). */
import { describe, expect, it } from "vitest";
import { issueKey } from "../../server/src/access/issue.ts";
import { type BareSocket, open } from "../support/bare-socket.ts";
import { temporaryFolder } from "../support/temp.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { count, dataOf, greet, hello, publish, Reader, startHub } from "./support.ts";

const cases = [
  ["no token", undefined, 4504, "unauthorized"],
  ["what is no token", "nonsense", 4504, "unauthorized"],
  ["a token of somebody else's hub", `${signed({ sub: "ada" }).slice(0, -8)}AAAAAAAA`, 4504, "unauthorized"],
  ["an expired one", signed({ sub: "ada" }, -1_000), 4005, "token-expired"],
] as const;

describe("a hello", () => {
  it("with a token is answered with whom it names and when it expires (P-66)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await open(hub.url);
    socket.send(hello({ token: signed({ sub: "ada" }, 60_000) }));
    const { user, expires, time } = await socket.next("welcome");
    expect(user).toBe("ada");
    expect((expires as number) - time).toBeGreaterThan(50_000);
    expect((expires as number) - time).toBeLessThanOrEqual(60_000);
  });

  it.each(cases)("with %s closes the connection (P-66)", async (_what, token, code, reason) => {
    const hub = await startHub(tokenConfig);
    const socket = await open(hub.url);
    socket.send([hello(token === undefined ? {} : { token }), { is: "subscribe", subscription: 1, pattern: "a" }]);
    expect(await socket.next()).toMatchObject({ is: "error", code: reason });
    expect(await socket.closed).toEqual({ code, reason });
    expect(socket.frames.join("")).not.toMatch(/welcome|subscribed/);
  });

  it.each(["/?token=", "/?access_token=", "/?authorization=Bearer%20"])(
    "that says nothing of a token is not helped by one in the URL %s (P-66)",
    async (path) => {
      const hub = await startHub(tokenConfig);
      const socket = await open(`${hub.url}${path}${signed({ sub: "ada" })}`);
      socket.send(hello());
      expect((await socket.closed).code).toBe(4504);
    },
  );

  it("with a token that is too long is no hello (P-7)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await open(hub.url);
    socket.send(hello({ token: `a.${"b".repeat(8_192)}.c` }));
    expect(await socket.closed).toEqual({ code: 4502, reason: "hello-expected" });
  });

  it("on a hub without access control is everyone's, and has no end (P-66)", async () => {
    const socket = await open((await startHub()).url);
    socket.send(hello({ token: "whatever" }));
    const welcome = await socket.next("welcome");
    expect(welcome.user).toBe("anonymous");
    expect(welcome).not.toHaveProperty("expires");
  });
});

describe("a refresh", () => {
  it("keeps subscriptions, and loses and repeats nothing that is published meanwhile (P-67)", async () => {
    const hub = await startHub(tokenConfig);
    const [socket, publisher] = await Promise.all(
      ["ada", "bob"].map((sub) => greet(hub, { token: signed({ sub }), producer: { id: "p", settled: 0 } })),
    );
    const reader = new Reader(socket as BareSocket);
    const places = [
      await reader.subscribe({ subscription: 1, pattern: "a" }),
      await reader.subscribe({ subscription: 2, pattern: "*", window: { messages: 7, bytes: 10_000 } }),
    ];
    for (const number of count(1, 200)) {
      publisher?.send({ is: "publish", number, channel: "a", data: number });
      if (number % 10 === 0) socket?.send({ is: "refresh", token: signed({ sub: "ada", jti: `${number}` }) });
    }
    await reader.until(() => places.every(({ messages }) => messages.length === 200));
    await reader.until(() => reader.others.filter(({ is }) => is === "refreshed").length === 20);
    for (const place of places) expect(dataOf(place)).toEqual(count(1, 200));
  });

  it("that is no better than none closes the connection, and says why (P-67)", async () => {
    const hub = await startHub(tokenConfig);
    for (const [, token, code, reason] of cases.slice(1)) {
      const socket = await greet(hub, { token: signed({ sub: "ada" }) });
      socket.send([
        { is: "refresh", token },
        { is: "publish", number: 1, channel: "a", data: 1 },
      ]);
      expect(await socket.closed).toEqual({ code, reason });
    }
    const socket = await greet(hub, { token: signed({ sub: "ada" }) });
    socket.send({ is: "refresh", token: signed({ sub: "bob" }) });
    expect(await socket.closed).toEqual({ code: 4504, reason: "unauthorized" });
  });
});

describe("a session", () => {
  it("is ended when its token expires (P-68)", async () => {
    const hub = await startHub(tokenConfig);
    const token = signed({ sub: "ada" }, 700);
    const socket = await greet(hub, { token });
    expect(await socket.closed).toEqual({ code: 4005, reason: "token-expired" });
    const again = await open(hub.url);
    again.send(hello({ token }));
    expect((await again.closed).code).toBe(4005);
  });

  it("is ended by the revocation of its token or of its user's, and nobody else's is (P-68)", async () => {
    const hub = await startHub(tokenConfig);
    const admin = await greet(hub, { token: signed({ sub: "root" }) });
    const one = await greet(hub, { token: signed({ sub: "ada", jti: "1" }) });
    const two = await greet(hub, { token: signed({ sub: "ada", jti: "2" }) });
    const bob = await greet(hub, { token: signed({ sub: "bob", jti: "3" }) });
    admin.send({ is: "ask", request: 1, action: { do: "revoke", token: "1" } });
    expect(await admin.next("answer")).toMatchObject({ result: { sessions: 1 } });
    expect(await one.closed).toEqual({ code: 4505, reason: "revoked" });
    await publish(two, "a", 1);
    admin.send({ is: "ask", request: 2, action: { do: "revoke", user: "ada" } });
    expect(await admin.next("answer")).toMatchObject({ result: { sessions: 1 } });
    expect((await two.closed).code).toBe(4505);
    await publish(bob, "a", 1);
  });

  it("cannot come back with a revoked token, also after a restart (P-68)", async () => {
    const data = temporaryFolder();
    const tokens = [signed({ sub: "ada", jti: "1" }), signed({ sub: "bob" })];
    const before = await startHub({ ...tokenConfig, data });
    const admin = await greet(before, { token: signed({ sub: "root" }) });
    admin.send({
      is: "ask",
      request: 1,
      action: { do: "revoke", token: "1", user: "bob", before: Date.now() + 1_000 },
    });
    await admin.next("answer");
    await before.close();
    const after = await startHub({ ...tokenConfig, data });
    for (const token of tokens) {
      const socket = await open(after.url);
      socket.send(hello({ token }));
      expect(await socket.closed).toEqual({ code: 4505, reason: "revoked" });
    }
    await greet(after, { token: signed({ sub: "ada", jti: "2" }) });
  });

  it("that an operator ends may come back (P-68)", async () => {
    const hub = await startHub(tokenConfig);
    const admin = await greet(hub, { token: signed({ sub: "root" }) });
    const token = signed({ sub: "ada" });
    const socket = await open(hub.url);
    socket.send(hello({ token }));
    const { session } = await socket.next("welcome");
    admin.send({ is: "ask", request: 1, action: { do: "disconnect", session } });
    expect(await socket.closed).toEqual({ code: 4006, reason: "disconnected" });
    await greet(hub, { token });
    for (const action of [
      { do: "disconnect", session: "nobody" },
      { do: "revoke" },
      { do: "revoke", token: "\ud800" },
    ]) {
      admin.send({ is: "ask", request: 2, action });
      expect(await admin.next("error")).toMatchObject({ code: expect.stringMatching(/unknown-session|invalid-/) });
    }
    await publish(admin, "a", 1);
  });
});

describe("an API key", () => {
  it("is a token that does not expire (P-66)", async () => {
    const { key, hash } = issueKey(Buffer.alloc(32, 7));
    const capabilities = { ">": ["publish", "subscribe"] };
    const hub = await startHub({ access: { keys: { billing: { hash, capabilities } } } });
    const socket = await open(hub.url);
    socket.send(hello({ token: key }));
    const welcome = await socket.next("welcome");
    expect(welcome.user).toBe("billing");
    expect(welcome).not.toHaveProperty("expires");
    for (const token of [key.slice(0, -1), `${key}A`, hash]) {
      const wrong = await open(hub.url);
      wrong.send(hello({ token }));
      expect((await wrong.closed).code).toBe(4504);
    }
    await publish(socket, "a", 1);
  });
});
