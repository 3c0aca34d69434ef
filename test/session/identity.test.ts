/** Who a session is, from hello to the end of its token, under a clock that is moved by hand. */
import type { Limits, Offset } from "@dogear/shared";
import { describe, expect, it } from "vitest";
import type { Authenticate } from "../../server/src/access/access.ts";
import type { Capabilities } from "../../server/src/access/capabilities.ts";
import type { Log } from "../../server/src/engine/engine.ts";
import type { Hub } from "../../server/src/hub/hub.ts";
import { handle } from "../../server/src/session/handlers.ts";
import { memoryHub, settled, VirtualClock } from "../hub/support.ts";
import { Door } from "../support/waiting.ts";
import { Client, publish } from "./support.ts";

const everything: Capabilities = { ">": ["publish", "subscribe", "work", "admin"] };
const producer = { id: "p", settled: 0 };

/** Who comes with which token. */
class People {
  readonly clock = new VirtualClock();
  readonly known = new Map<string, { user: string; capabilities?: Capabilities; expires?: number; tokenId?: string }>();
  /** How often somebody was asked for. */
  asked = 0;
  /** Whoever asks waits at it, while there is one. */
  door: Door | undefined;

  readonly authenticate: Authenticate = async ({ token = "" }) => {
    this.asked++;
    await this.door?.pass();
    return this.known.get(token);
  };

  async hub(limits: Partial<Limits> = {}, overrides: Partial<Log> = {}): Promise<Hub> {
    const access = {
      policy: { tokens: undefined, keys: [], cookie: "dogear" },
      authenticate: this.authenticate,
      authorize: undefined,
    };
    return (await memoryHub(this.clock, { access, limits, overrides })).hub;
  }

  /** Introduces somebody who may do everything, and stays for so long. */
  add(token: string, { stayMs, ...who }: { stayMs?: number; user?: string; capabilities?: Capabilities } = {}): void {
    const expires = stayMs === undefined ? {} : { expires: this.clock.now() + stayMs };
    this.known.set(token, { user: "ann", capabilities: everything, tokenId: token, ...expires, ...who });
  }
}

function subscribe(number: number, pattern: string): object {
  return { is: "subscribe", subscription: number, pattern };
}

describe("a session whose token expires", () => {
  it("is ended within a second, and not before (P-68)", async () => {
    const people = new People();
    people.add("t", { stayMs: 60_000 });
    const client = await Client.greet(await people.hub(), people.clock, { token: "t", heartbeatMs: 900_000 });
    expect(client.all("welcome")).toMatchObject([{ user: "ann", expires: people.clock.now() + 60_000 }]);
    await people.clock.advance(59_999);
    expect(client.socket.closedWith).toBeUndefined();
    await people.clock.advance(1_000);
    expect(client.socket.closedWith).toBe(4005);
    expect(client.all("error")).toMatchObject([{ code: "token-expired" }]);
  });

  it("lives on with a new one until that expires: it is never without end afterwards (P-67, P-68)", async () => {
    const people = new People();
    people.add("one", { stayMs: 10_000 });
    const client = await Client.greet(await people.hub(), people.clock, { token: "one" });
    for (let i = 0; i < 5; i++) {
      await people.clock.advance(9_000);
      people.add(`more-${i}`, { stayMs: 10_000 });
      await client.say({ is: "refresh", token: `more-${i}` }, { is: "pong" });
      const { expires } = client.all("refreshed").at(-1) ?? {};
      expect(expires).toBe(people.clock.now() + 10_000);
    }
    await people.clock.advance(9_800);
    expect(client.socket.closedWith).toBeUndefined();
    await people.clock.advance(1_000);
    expect(client.socket.closedWith).toBe(4005);
  });

  it.each(["while it lives", "in the last moment"])(
    "is ended by a token that has expired itself, %s (P-67)",
    async (when) => {
      const people = new People();
      people.add("one", { stayMs: 10_000 });
      people.add("old", { stayMs: 1_000 });
      const client = await Client.greet(await people.hub(), people.clock, { token: "one" });
      await people.clock.advance(when === "while it lives" ? 2_000 : 9_990);
      await client.say({ is: "refresh", token: "old" });
      expect(client.socket.closedWith).toBe(4005);
      expect(client.all("refreshed")).toEqual([]);
    },
  );

  it("is ended also while the new one is still being looked at (P-68)", async () => {
    const people = new People();
    people.add("one", { stayMs: 10_000 });
    const client = await Client.greet(await people.hub(), people.clock, { token: "one" });
    people.door = new Door();
    people.add("two", { stayMs: 100_000 });
    await client.say({ is: "refresh", token: "two" });
    await people.clock.advance(11_000);
    expect(client.socket.closedWith).toBe(4005);
    people.door.open();
    await settled();
    expect(client.all("refreshed")).toEqual([]);
  });
});

describe("a refresh", () => {
  it("with another user's token ends the session, whatever that one may do (P-67)", async () => {
    const people = new People();
    people.add("ann");
    people.add("bob", { user: "bob" });
    const client = await Client.greet(await people.hub(), people.clock, { token: "ann" });
    await client.say({ is: "refresh", token: "bob" });
    expect(client.socket.closedWith).toBe(4504);
  });

  it.each([
    ["nobody's token", "unknown", 4504],
    ["a revoked one", "revoked", 4505],
  ])("with %s ends the session (P-67)", async (_what, token, closeCode) => {
    const people = new People();
    people.add("ann");
    people.add("revoked");
    const hub = await people.hub();
    const client = await Client.greet(hub, people.clock, { token: "ann" });
    await hub.access.revoke({ token: "revoked" });
    await client.say({ is: "refresh", token });
    expect(client.socket.closedWith).toBe(closeCode);
  });

  it("that cannot be decided now closes so that the client comes back (P-67)", async () => {
    const people = new People();
    people.add("ann");
    const client = await Client.greet(await people.hub(), people.clock, { token: "ann" });
    people.known.get = () => {
      throw new Error("no database");
    };
    await client.say({ is: "refresh", token: "ann" });
    expect(client.socket.closedWith).toBe(4008);
  });

  it("with fewer capabilities ends what they do not cover, and only that (P-67, P-69)", async () => {
    const people = new People();
    people.add("one");
    people.add("less", { capabilities: { "a.*": ["subscribe"], "w.>": ["work"] } });
    const hub = await people.hub();
    const client = await Client.greet(hub, people.clock, { token: "one" });
    await client.say(
      ...["a.b", "a.*", "a.>", "b", ">"].map((pattern, i) => subscribe(i + 1, pattern)),
      { is: "work", member: 1, id: "m1", group: "g1", pattern: "w.>" },
      { is: "work", member: 2, id: "m2", group: "g2", pattern: "v.>" },
    );
    expect(client.all("working")).toHaveLength(2);
    await client.say({ is: "refresh", token: "less" });
    expect(client.all("unsubscribed")).toMatchObject(
      [3, 4, 5].map((subscription) => ({ subscription, code: "forbidden" })),
    );
    expect(client.all("left")).toMatchObject([{ member: 2, code: "forbidden" }]);
    expect(client.all("refreshed")).toHaveLength(1);
    // What ended gets nothing more, what did not goes on, and nothing new is allowed.
    const other = await Client.greet(hub, people.clock, { token: "one" });
    await other.say(...["a.b", "b", "w.x", "v.x"].map((channel, i) => publish(i + 1, { channel })));
    const heard = client.all("messages").flatMap(({ messages }) => messages.map(({ channel }) => channel));
    expect(new Set(heard)).toEqual(new Set(["a.b"]));
    expect(client.all("leased").map(({ member }) => member)).toEqual([1]);
    await client.say(publish(9, { channel: "a.b" }), subscribe(9, "b"));
    expect(client.all("error").slice(-2)).toMatchObject([{ code: "forbidden" }, { code: "forbidden" }]);
  });

  it("ends also what was only being opened when it came (P-67)", async () => {
    const people = new People();
    people.add("one");
    people.add("none", { capabilities: {} });
    const opening = new Door();
    let opened = 0;
    const hub = await people.hub(
      {},
      {
        bounds: async () => {
          if (opened++ >= 100) await opening.pass();
          return { oldest: 1, newest: 0 } as never;
        },
      },
    );
    opened = 100;
    const client = await Client.greet(hub, people.clock, { token: "one" });
    client.send(subscribe(1, "a"), { is: "work", member: 1, id: "m", group: "g", pattern: "a" });
    await opening.arrivals.reach(2);
    await client.say({ is: "refresh", token: "none" });
    opening.open();
    await settled();
    const told = client.socket.heard.filter(({ is }) => is !== "welcome" && is !== "refreshed");
    expect(client.all("subscribed")).toEqual([]);
    expect(client.all("working")).toEqual([]);
    expect(told).toHaveLength(2);
    expect(client.session.subscriptions.size + client.session.members.size).toBe(0);
  });

  it("asked for again and again is done one at a time, and no more is read meanwhile", async () => {
    const people = new People();
    people.add("ann");
    const client = await Client.greet(await people.hub(), people.clock, { token: "ann" });
    people.door = new Door();
    for (let i = 0; i < 1_000 && !client.socket.paused; i++) client.send({ is: "refresh", token: "ann" });
    expect(client.socket.paused).toBe(true);
    await settled();
    expect(people.asked).toBe(2);
    const pending = client.socket.receivedBytes;
    expect(pending).toBeLessThan(100_000);
    people.door.open();
    people.door = undefined;
    await settled();
    while (client.socket.paused) await settled();
    expect(client.all("error")).toEqual([]);
  });
});

describe("a session that is just being let in", () => {
  it("is not, where its token is revoked meanwhile (P-68)", async () => {
    const people = new People();
    people.add("ann");
    const finding = new Door();
    const hub = await people.hub(
      {},
      {
        lastNumber: async () => {
          await finding.pass();
          return 0;
        },
      },
    );
    const client = new Client(hub, people.clock);
    client.send({ is: "hello", protocol: 1, token: "ann", producer });
    await finding.arrivals.reach(1);
    await hub.access.revoke({ user: "ann", before: people.clock.now() + 1 });
    hub.roster.close("revoked", ({ principal }) => hub.access.isRevoked(principal));
    finding.open();
    await settled();
    expect(client.all("welcome")).toEqual([]);
    expect(client.socket.closedWith).toBe(4505);
  });

  it("takes no place of its user's where it fails (P-66)", async () => {
    const people = new People();
    people.add("ann");
    let failing = true;
    const hub = await people.hub(
      { userConnectionsMax: 1 },
      {
        lastNumber: async () => {
          if (failing) throw new Error("the disk is gone");
          return 0;
        },
      },
    );
    for (let i = 0; i < 3; i++) {
      const client = await Client.greet(hub, people.clock, { token: "ann", producer });
      expect(client.socket.closedWith).toBe(4004);
    }
    failing = false;
    const client = await Client.greet(hub, people.clock, { token: "ann", producer });
    expect(client.all("welcome")).toHaveLength(1);
    const second = await Client.greet(hub, people.clock, { token: "ann" });
    expect(second.socket.closedWith).toBe(4007);
    client.session.disconnected();
    expect((await Client.greet(hub, people.clock, { token: "ann" })).all("welcome")).toHaveLength(1);
  });

  it("is given up where nobody can say who it is in the time for a hello (P-8)", async () => {
    const people = new People();
    people.door = new Door();
    const client = await Client.greet(await people.hub(), people.clock, { token: "ann" });
    expect(client.socket.paused).toBe(true);
    await people.clock.advance(10_100);
    expect(client.socket.closedWith).toBe(4002);
    people.door.open();
    await settled();
    expect(client.all("welcome")).toEqual([]);
  });
});

describe("a draft that was published", () => {
  it("is answered with its result also to who may not publish any more: it was not refused (P-24, P-69)", async () => {
    const people = new People();
    people.add("one");
    people.add("none", { capabilities: {} });
    const hub = await people.hub();
    const first = await Client.greet(hub, people.clock, { token: "one", producer });
    await first.say(publish(1));
    const [{ offset } = { offset: -1 }] = first.all("published");
    first.session.disconnected();
    const second = await Client.greet(hub, people.clock, { token: "none", producer });
    await second.say(publish(1), publish(2));
    expect(second.all("published")).toMatchObject([{ number: 1, offset, duplicate: true }]);
    expect(second.all("error")).toMatchObject([{ number: 2, code: "forbidden" }]);
  });
});

describe("a member that says again and again that it leaves", () => {
  it("is answered once, and nothing waits for each time that it said so (P-59)", async () => {
    const people = new People();
    people.add("ann");
    const hub = await people.hub();
    const client = await Client.greet(hub, people.clock, { token: "ann" });
    await client.say({ is: "work", member: 1, id: "m", group: "g", pattern: "a" }, publish(1));
    const [
      {
        leases: [lease],
      } = { leases: [] },
    ] = client.all("leased");
    const leave = { is: "leave", member: 1, holding: [1] } as const;
    const first = handle(client.session, { ...leave, holding: [1 as Offset] });
    for (let i = 0; i < 100; i++) await handle(client.session, { ...leave, holding: [1 as Offset] });
    expect(client.all("left")).toEqual([]);
    await client.say({ is: "settle", member: 1, outcome: "ack", fences: [lease?.fence] });
    await first;
    await settled();
    expect(client.all("left")).toMatchObject([{ member: 1 }]);
  });
});

describe("numbers of what the hub has ended", () => {
  it("are remembered for a while and not for ever", async () => {
    const people = new People();
    people.add("one");
    people.add("none", { capabilities: {} });
    const client = await Client.greet(await people.hub(), people.clock, { token: "one" });
    let number = 0;
    for (let round = 0; round < 12; round++) {
      await client.say(...Array.from({ length: 500 }, () => subscribe(++number, "a")));
      await client.say({ is: "refresh", token: "none" });
      await client.say({ is: "refresh", token: "one" });
    }
    expect(client.all("unsubscribed")).toHaveLength(6_000);
    const remembered = Array.from({ length: number }, (_, i) => i + 1).filter((one) =>
      client.session.subscriptions.hasEnded(one),
    );
    expect(remembered.length).toBeLessThan(2_000);
    expect(remembered.at(-1)).toBe(number);
  });
});
