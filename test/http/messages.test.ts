/** Reading page by page over HTTP, and waiting for what is not there yet. */
import { describe, expect, test } from "vitest";
import { greet } from "../protocol/support.ts";
import { type Asking, ask, begin, type HttpHub, publish, secret, startHub, tokenOf, users } from "./support.ts";

describe("a page", () => {
  test("says where to go on, and the pages together are everything once (P-76)", async () => {
    const hub = await startHub();
    for (let i = 1; i <= 7; i++) await publish(hub, i % 2 ? "a.odd" : "a.even", `${i}`);
    const read: number[] = [];
    let query = "from=earliest";
    for (let more = true; more; ) {
      const { json } = await ask(hub, `GET /messages?pattern=a.*&limit=3&${query}`);
      read.push(...json.messages.map(({ data }: { data: number }) => data));
      more = json.messages.length > 0;
      query = `after=${json.position}`;
    }
    expect(read).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("begins at the end of the log unless it is told otherwise, and `after` wins over `from` (P-76)", async () => {
    const hub = await startHub();
    const before = Date.now();
    await publish(hub, "a", "1");
    const { json: end } = await ask(hub, "GET /messages?pattern=a");
    expect(end.messages).toEqual([]);
    await publish(hub, "a", "2");
    const dataOf = async (query: string) =>
      (await ask(hub, `GET /messages?pattern=a&${query}`)).json.messages.map(({ data }: { data: number }) => data);
    expect(await dataOf(`after=${end.position}`)).toEqual([2]);
    expect(await dataOf(`after=${end.position}&from=earliest`)).toEqual([2]);
    expect(await dataOf(`from=${before}`)).toEqual([1, 2]);
    expect(await dataOf("from=latest")).toEqual([]);
  });

  test("moves on over what does not match, and leaves out what has expired (P-46, P-76)", async () => {
    const hub = await startHub();
    for (let i = 0; i < 5; i++) await publish(hub, "b", "1");
    await ask(hub, "POST /publish/a?ttlMs=1", { headers: { "content-type": "application/json" }, body: "1" });
    await expect
      .poll(async () => (await ask(hub, "GET /messages?pattern=a&from=earliest")).json)
      .toEqual({ position: expect.stringMatching(/:6$/), messages: [] });
  });

  test("tells of what is lost, and the messages after it (P-43, P-76)", async () => {
    const hub = await startHub();
    await publish(hub, "a", "1");
    const { json } = await ask(hub, "GET /messages?pattern=a&after=another:9");
    expect(json.gap).toMatchObject({ reason: "epoch", to: null });
    expect(json.messages).toMatchObject([{ data: 1 }]);
    const alone = await ask(hub, "GET /messages?pattern=b&after=another:9&waitMs=60000");
    expect(alone.json).toMatchObject({ gap: { reason: "epoch" }, messages: [] });
  });

  test("is refused where the question is wrong (P-70, P-76)", async () => {
    const hub = await startHub({ access: users() });
    const refused = async (query: string) => {
      const { status, json } = await ask(hub, `GET /messages?${query}`, { as: "reader" });
      return [status, json.error.code];
    };
    expect(await refused("")).toEqual([400, "invalid-request"]);
    expect(await refused("pattern=a..b")).toEqual([400, "invalid-pattern"]);
    expect(await refused("pattern=a&after=7")).toEqual([400, "invalid-request"]);
    expect(await refused("pattern=a&from=yesterday")).toEqual([400, "invalid-request"]);
    expect(await refused("pattern=a&limit=0")).toEqual([400, "invalid-request"]);
    expect(await refused("pattern=a&limit=1001")).toEqual([400, "invalid-request"]);
    expect(await refused("pattern=%zz")).toEqual([400, "invalid-pattern"]);
    expect(await refused("pattern=secret.a")).toEqual([403, "forbidden"]);
  });

  test("is put off where its user has read enough for now (P-77)", async () => {
    const hub = await startHub({ access: users({ userReplayBytesPerSecondMax: 10 }) });
    await publish(hub, "orders.a", `"${"x".repeat(1_000)}"`, { as: "writer" });
    const page = () => ask(hub, "GET /messages?pattern=orders.a&from=earliest", { as: "reader" });
    expect((await page()).json.messages.length).toBe(1);
    const { status, json, headers } = await page();
    expect([status, json.error.code]).toEqual([429, "rate-limited"]);
    expect(Number(headers["retry-after"])).toBeGreaterThan(60);
  });
});

describe("a request that waits", () => {
  test("is answered as soon as something matches (P-77)", async () => {
    const hub = await startHub({ access: users({ userConnectionsMax: 1 }) });
    const { position } = (await ask(hub, "GET /messages?pattern=orders.*", { as: "reader" })).json;
    const waiting = ask(hub, `GET /messages?pattern=orders.*&waitMs=60000&after=${position}`, { as: "reader" });
    await untilWaits(hub);
    await publish(hub, "open.b", "1", { as: "writer" });
    await publish(hub, "orders.b", "2", { as: "writer" });
    expect((await waiting).json).toMatchObject({
      position: expect.stringMatching(/:2$/),
      messages: [{ offset: 2, data: 2 }],
    });
  });

  test("is answered with nothing, and further on, when its time is over (P-77)", async () => {
    const hub = await startHub({ limits: { pollMsMax: 200 } });
    const waiting = ask(hub, "GET /messages?pattern=a&waitMs=60000");
    await publish(hub, "b", "1");
    const { json } = await waiting;
    expect(json.messages).toEqual([]);
    expect((await ask(hub, `GET /messages?pattern=b&after=${json.position}`)).json.messages.length).toBeLessThan(2);
  });

  test("loses nothing between two pages, whatever is published meanwhile (P-77)", async () => {
    const hub = await startHub();
    const socket = await greet(hub);
    let position = (await ask(hub, "GET /messages?pattern=a")).json.position as string;
    const total = 300;
    for (let number = 1; number <= total; number++) {
      socket.send({ is: "publish", number, channel: number % 3 ? "a" : "b", data: number });
    }
    const read: number[] = [];
    while (read.length < 200) {
      const { json } = await ask(hub, `GET /messages?pattern=a&limit=7&waitMs=10000&after=${position}`);
      read.push(...json.messages.map(({ data }: { data: number }) => data));
      position = json.position;
    }
    expect(read).toEqual(Array.from({ length: total }, (_, i) => i + 1).filter((i) => i % 3));
  });

  test("counts as a connection of its user, until its client hangs up (P-77)", async () => {
    const hub = await startHub({ access: users({ userConnectionsMax: 1 }) });
    const hangUp = new AbortController();
    const waiting = begin(hub, "GET /messages?pattern=orders.a&waitMs=60000", { as: "reader", signal: hangUp.signal });
    waiting.catch(() => {});
    const second = () => ask(hub, "GET /messages?pattern=orders.a", { as: "reader" });
    await untilWaits(hub);
    const { json, headers } = await second();
    expect([json.error.code, headers["retry-after"]]).toEqual(["too-many-connections", "1"]);
    hangUp.abort();
    await expect.poll(async () => (await second()).status).toBe(200);
    expect(hub.failures.items).toEqual([]);
  });

  test("is refused when what it came with was revoked meanwhile (P-77)", async () => {
    const limits = { userConnectionsMax: 1 };
    const hub = await startHub({ limits, access: { ...users(), tokens: { secrets: [secret] } } });
    const headers = { authorization: `Bearer ${await tokenOf("ann", { ">": ["subscribe"] })}` };
    const { position } = (await ask(hub, "GET /messages?pattern=a", { headers })).json;
    const waiting = ask(hub, `GET /messages?pattern=a&waitMs=60000&after=${position}`, { headers });
    await untilWaits(hub, { headers });
    const body = JSON.stringify({ user: "ann", before: Date.now() + 60_000 });
    expect((await ask(hub, "POST /admin/revocations", { as: "admin", body })).json).toEqual({ sessions: 0 });
    await publish(hub, "a", "1", { as: "admin" });
    const answered = await waiting;
    expect([answered.status, answered.json.error.code]).toEqual([401, "revoked"]);
    expect(answered.headers["www-authenticate"]).toBe("Bearer");
  });
});

/** Waits until the only connection that a user may have is taken. */
async function untilWaits(hub: HttpHub, asking: Asking = { as: "reader" }): Promise<void> {
  await expect.poll(async () => (await ask(hub, "GET /messages?pattern=orders.a", asking)).status).toBe(429);
}
