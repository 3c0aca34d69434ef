/** Who may do what (P-69), asked for by those who may not. */
import { describe, expect, it } from "vitest";
import { signed, tokenConfig } from "../support/tokens.ts";
import { type BareSocket, greet, publish, Reader, startHub } from "./support.ts";

type Granted = Readonly<Record<string, readonly string[]>>;

function enter(
  hub: { readonly url: string },
  sub: string,
  capabilities: Granted,
  subscriber = "s",
): Promise<BareSocket> {
  return greet(hub, { token: signed({ sub, capabilities }), subscriber });
}

/** What is answered to an envelope: the kind of it, or the code of the error. */
async function answerTo(socket: BareSocket, envelope: object): Promise<string> {
  socket.send(envelope);
  const answer = await socket.next();
  return answer.is === "error" ? answer.code : answer.is;
}

const everything = { ">": ["publish", "subscribe", "work", "admin"] };

describe("publishing", () => {
  it("is allowed where it is granted, now and later, and nowhere else (P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", { "a.*": ["publish"], "b.>": ["subscribe", "work", "admin"] });
    const answers: Record<string, string> = {};
    let number = 0;
    for (const channel of ["a.b", "a", "a.b.c", "ab", "b.c", "ann", "__proto__", "constructor"]) {
      answers[channel] = await answerTo(socket, { is: "publish", number: ++number, channel, data: 1 });
      const later = { is: "publish", number: ++number, channel, data: 1, delayMs: 3_600_000 };
      expect(await answerTo(socket, later)).toBe(channel === "a.b" ? "scheduled" : "forbidden");
    }
    const { "a.b": allowed, ...others } = answers;
    expect(allowed).toBe("published");
    expect(new Set(Object.values(others))).toEqual(new Set(["forbidden"]));
  });

  it("that is refused closes nothing, uses up the draft's number, and leaves nothing in the log (P-22, P-26, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const producer = { id: "p", settled: 0 };
    const socket = await greet(hub, { token: signed({ sub: "ann", capabilities: { a: ["publish"] } }), producer });
    socket.send(["b", "a", "b", "a"].map((channel, i) => ({ is: "publish", number: i + 1, channel, data: i })));
    const answers = [];
    while (answers.length < 4) answers.push(await socket.next());
    const told = answers.map((answer) => [answer.is, "number" in answer ? answer.number : 0]);
    expect(told.sort()).toEqual([
      ["error", 1],
      ["error", 3],
      ["published", 2],
      ["published", 4],
    ]);
    const reader = new Reader(await enter(hub, "root", everything));
    const place = await reader.subscribe({ pattern: ">", from: "earliest" });
    await reader.until(() => place.state === "live");
    expect(place.messages.map(({ channel }) => channel)).toEqual(["a", "a"]);
  });

  it("of a thousand drafts that are forbidden is answered a thousand times and forgives nothing (P-22)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", {});
    socket.send(Array.from({ length: 1_000 }, (_, i) => ({ is: "publish", number: i + 1, channel: "a", data: 1 })));
    for (let i = 0; i < 1_000; i++) expect((await socket.next("error")).code).toBe("forbidden");
  });
});

describe("subscribing", () => {
  it("needs a right that covers the whole pattern (P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", { "a.*": ["subscribe"], "inbox.{user}.>": ["subscribe"], c: ["publish"] });
    const allowed = ["a.b", "a.*", "inbox.ann.>", "inbox.ann.x.y"];
    const refused = ["a", "a.>", "a.b.c", "ab", "*", ">", "*.b", "inbox.>", "inbox.bob.x", "inbox.*.>", "a.$b", "c"];
    let subscription = 0;
    for (const pattern of refused) {
      const envelope = { is: "subscribe", subscription: ++subscription, pattern };
      expect([pattern, await answerTo(socket, envelope)]).toEqual([pattern, "forbidden"]);
    }
    const reader = new Reader(socket);
    for (const pattern of allowed) await reader.subscribe({ subscription: ++subscription, pattern });
  });

  it("to everything is not to what is the hub's own (P-2, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", everything);
    for (const pattern of ["$scheduled", "$scheduled.default", "orders.$dead.billing", "$dead.x"]) {
      expect(await answerTo(socket, { is: "subscribe", subscription: 1, pattern })).toBe("forbidden");
    }
    const operator = await enter(hub, "root", { "orders.$dead.*": ["subscribe"] });
    await new Reader(operator).subscribe({ pattern: "orders.$dead.billing" });
  });

  it("with a cursor is with one's own, however the subscriber is called (P-34, P-41, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const [ann, bob] = [await enter(hub, "ann", everything), await enter(hub, "bob", everything)];
    const readers = [new Reader(ann), new Reader(bob)] as const;
    const asked = { pattern: "a", cursor: true, from: "earliest" as const };
    const anns = await readers[0].subscribe(asked);
    await publish(ann, "a", 1, 2, 3);
    await readers[0].until(() => anns.messages.length === 3);
    const bobs = await readers[1].subscribe(asked);
    await readers[1].until(() => bobs.messages.length === 3);
    await readers[0].settle();
    expect(anns.state).toBe("live");
    expect(readers[0].others).toEqual([]);
  });
});

describe("groups", () => {
  it("are for those who may work on the whole of their pattern (P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", { "a.*": ["work"], b: ["subscribe", "publish", "admin"] });
    const work = { is: "work", member: 1, id: "m", group: "g" };
    for (const pattern of ["a.>", "a", "b", ">", "a.b.c", "a.$dead.g"]) {
      expect(await answerTo(socket, { ...work, pattern })).toBe("forbidden");
    }
    expect(await answerTo(socket, { ...work, pattern: "a.*" })).toBe("working");
  });

  it("tell nobody how they were declared who may not work on their pattern (P-51, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const work = { is: "work", member: 1, id: "m", group: "secret", maxFailures: 7 };
    const owner = await enter(hub, "root", everything);
    expect(await answerTo(owner, { ...work, pattern: "payroll.secret" })).toBe("working");
    const socket = await enter(hub, "ann", { "a.>": ["work"] });
    socket.send({ ...work, pattern: "a.b", maxFailures: 3 });
    const { code, message } = await socket.next("error");
    expect(code).toBe("group-differs");
    expect(message).not.toMatch(/payroll|7|maxFailures|pattern/);
  });

  it("let nobody settle, extend or come back to what is leased to another user's member (P-58, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const [ann, bob] = [await enter(hub, "ann", everything), await enter(hub, "bob", everything)];
    const work = { is: "work", member: 1, id: "same", group: "g", pattern: "a", window: 1, leaseMs: 60_000 };
    expect(await answerTo(ann, work)).toBe("working");
    await publish(ann, "a", 1);
    const { leases } = await ann.next("leased");
    // The same id is another member of another user, who takes nothing over.
    bob.send({ ...work, holding: [1] });
    expect((await bob.next("working")).leases).toEqual([]);
    for (const outcome of ["ack", "reject", "retry", "release", "extend"]) {
      bob.send({ is: "settle", member: 1, outcome, fences: leases.map(({ fence }) => fence) });
      expect(await bob.next("error")).toMatchObject({ code: "lease-lost" });
    }
    ann.send({ is: "settle", member: 1, outcome: "ack", fences: leases.map(({ fence }) => fence) });
    expect(await ann.next("settled")).toMatchObject({ fences: leases.map(({ fence }) => fence) });
  });
});

describe("taking back what is scheduled", () => {
  it("needs publish or admin on its channel; to others it is not there (P-49, P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const ann = await enter(hub, "ann", { "a.>": ["publish"] });
    const schedule = async (number: number) => {
      ann.send({ is: "publish", number, channel: "a.b", data: 1, delayMs: 3_600_000 });
      return (await ann.next("scheduled")).id;
    };
    const ids = [await schedule(1), await schedule(2)] as const;
    const cancel = (id: string) => ({ is: "ask", request: 1, action: { do: "cancel", id } });
    for (const granted of [{}, { "b.>": ["publish", "admin"] }, { "a.>": ["subscribe", "work"] }] as Granted[]) {
      const other = await enter(hub, "bob", granted);
      expect(await answerTo(other, cancel(ids[0]))).toBe("not-scheduled");
      expect(await answerTo(other, cancel("nothing/1"))).toBe("not-scheduled");
    }
    expect(await answerTo(ann, cancel(ids[0]))).toBe("answer");
    const operator = await enter(hub, "root", { "a.*": ["admin"] });
    expect(await answerTo(operator, cancel(ids[1]))).toBe("answer");
  });
});

describe("operators", () => {
  it("see what their rights cover, and the rest as if it were not there (P-69)", async () => {
    const hub = await startHub({ ...tokenConfig, namespaces: { orders: {} } });
    const root = await enter(hub, "root", everything);
    const reader = new Reader(root);
    for (const [i, pattern] of ["a.b", "secret.b"].entries()) {
      await reader.subscribe({ subscription: i + 1, pattern, cursor: true });
      await publish(root, pattern, 1);
      root.send({ is: "work", member: i + 1, id: "m", group: `g-${pattern.split(".")[0]}`, pattern });
      await root.next("working");
    }
    const socket = await enter(hub, "ann", { "a.>": ["admin"] });
    const ask = async (action: object) => {
      socket.send({ is: "ask", request: 1, action });
      const answer = await socket.next();
      return answer.is === "answer" ? JSON.stringify(answer.result) : (answer as { code?: string }).code;
    };
    for (const list of ["list-channels", "list-cursors", "list-groups"]) {
      const seen = await ask({ do: list });
      expect(seen).toContain('"a.b"');
      expect(seen).not.toContain("secret");
    }
    expect(await ask({ do: "list-namespaces" })).toBe('{"namespaces":[]}');
    for (const action of ["show-group", "pause-group", "delete-group", "redrive", "browse-group"]) {
      expect(await ask({ do: action, group: "g-secret" })).toBe("unknown-group");
      expect(await ask({ do: action, group: "g-nobody" })).toBe("unknown-group");
    }
    expect(await ask({ do: "show-group", group: "g-a" })).toContain("a.b");
    for (const subscriber of ["s", "nobody"]) {
      expect(await ask({ do: "show-cursor", user: "root", subscriber, pattern: "secret.b" })).toBe("forbidden");
      const reset = { do: "reset-cursor", user: "root", subscriber, pattern: "secret.b", to: "latest" };
      expect(await ask(reset)).toBe("forbidden");
    }
    for (const action of [
      { do: "list-sessions" },
      { do: "disconnect", session: "x" },
      { do: "revoke", user: "root" },
    ]) {
      expect(await ask(action)).toBe("forbidden");
    }
    await publish(root, "a.b", "still here");
  });

  it("are nobody without admin (P-69)", async () => {
    const hub = await startHub(tokenConfig);
    const socket = await enter(hub, "ann", { ">": ["publish", "subscribe", "work"] });
    const actions = ["list-namespaces", "list-channels", "list-sessions", "list-cursors", "list-groups"];
    for (const action of actions) {
      expect(await answerTo(socket, { is: "ask", request: 1, action: { do: action } })).toBe("forbidden");
    }
  });
});
