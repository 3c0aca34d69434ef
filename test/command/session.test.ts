import type { ChannelReport, SessionReport } from "@dogear/client/admin";
import { beforeAll, describe, expect, test } from "vitest";
import { clientOf, happening, startHub, type TestHub } from "../support/hub.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { type CommandOptions, cells, type Finished, jsonLines, Terminal } from "./support.ts";

let hub: TestHub;

beforeAll(async () => {
  const config = { ...tokenConfig, namespaces: { news: {} } };
  hub = await startHub({ config });
});

function dogear(args: readonly string[], options: CommandOptions): Promise<Finished> {
  return new Terminal(200).run(args, options);
}

/** What an operator gets. */
function asked(...args: readonly string[]): Promise<Finished> {
  return dogear(args, { url: hub.url, env: { DOGEAR_TOKEN: signed({ sub: "olga" }) } });
}

async function sessionsOf(user: string): Promise<SessionReport[]> {
  const { code, stdout } = await asked("session", "list", "--user", user, "--json");
  expect(code).toBe(0);
  return jsonLines<SessionReport>(stdout);
}

describe("session list", () => {
  test("is a table with a line for each session", async () => {
    const client = clientOf(hub.url, { token: signed({ sub: "lena" }), subscriber: "phone" });
    await client.subscribe("a.>").ready();
    const { code, stdout, stderr } = await asked("session", "list");
    expect([code, stderr]).toEqual([0, ""]);
    const [head, ...rows] = cells(stdout);
    expect(head).toEqual([
      "SESSION",
      "USER",
      "SUBSCRIBER",
      "ADDRESS",
      "SUBSCRIPTIONS",
      "MEMBERS",
      "CONNECTED",
      "EXPIRES",
    ]);
    const [connected, expires] = [expect.stringMatching(/^\d+s ago$/), expect.stringMatching(/^in (59m \d+s|59m|1h)$/)];
    expect(rows.find(([, user]) => user === "lena")).toEqual([
      expect.any(String),
      "lena",
      "phone",
      "127.0.0.1",
      "1",
      "0",
      connected,
      expires,
    ]);
    expect(rows.some(([, user, subscriber]) => user === "olga" && subscriber === "-")).toBe(true);
  });

  test("is of one user with --user", async () => {
    await clientOf(hub.url, { token: signed({ sub: "uma" }) }).ready();
    expect(await sessionsOf("uma")).toMatchObject([{ user: "uma", members: 0 }]);
    const none = await asked("session", "list", "--user", "nobody");
    expect(none).toEqual({ code: 0, stdout: "", stderr: "dogear: nobody has no sessions.\n" });
  });

  test("is for operators", async () => {
    const env = { DOGEAR_TOKEN: signed({ sub: "ada", capabilities: { ">": ["subscribe"] } }) };
    const { code, stderr } = await dogear(["session", "list"], { url: hub.url, env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/\(forbidden\)\n$/);
  });
});

test("session disconnect ends a session, whose client may come back", async () => {
  const client = clientOf(hub.url, { token: signed({ sub: "dora" }) });
  await client.ready();
  const [before] = await sessionsOf("dora");
  const session = before?.session ?? "";
  const lost = happening(client, "state", ({ code }) => code === "disconnected");
  expect(await asked("session", "disconnect", session)).toMatchObject({
    code: 0,
    stdout: `Disconnected ${session}.\n`,
  });
  await lost;
  await client.ready();
  const [after] = await sessionsOf("dora");
  expect(after?.session).not.toBe(session);
  const again = await asked("session", "disconnect", session);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/\(unknown-session\)\n$/);
});

describe("revoke", () => {
  test("ends a user's sessions for good", async () => {
    const token = signed({ sub: "rita" });
    const client = clientOf(hub.url, { token });
    await client.ready();
    const closed = happening(client, "state", ({ name }) => name === "closed");
    expect(await asked("revoke", "--user", "rita")).toMatchObject({
      code: 0,
      stdout: "Revoked; 1 session was ended.\n",
    });
    expect(await closed).toMatchObject({ code: "revoked" });
    const refused = await dogear(["publish", "a", "1", "--token", token], { url: hub.url });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/\(revoked\)\n$/);
  });

  test("is of one token with --id", async () => {
    const [lost, kept] = [signed({ sub: "tina", jti: "lost" }), signed({ sub: "tina", jti: "kept" })];
    expect(await asked("revoke", "--id", "lost", "--json")).toMatchObject({ code: 0, stdout: '{"sessions":0}\n' });
    expect((await dogear(["publish", "a", "1", "--token", lost], { url: hub.url })).code).toBe(1);
    expect((await dogear(["publish", "a", "1", "--token", kept], { url: hub.url })).code).toBe(0);
  });

  test("spares tokens that were issued later than --before", async () => {
    const token = signed({ sub: "vera" });
    expect((await asked("revoke", "--user", "vera", "--before", "2020-01-01")).code).toBe(0);
    expect((await dogear(["publish", "a", "1", "--token", token], { url: hub.url })).code).toBe(0);
  });
});

describe("channel list", () => {
  test("is a table with a line for each channel, or of those of a namespace", async () => {
    const client = clientOf(hub.url, { token: signed({ sub: "ada" }) });
    for (const channel of ["list.one", "list.two", "list.two", "news.today"]) await client.publish(channel, 1);
    const { code, stdout, stderr } = await asked("channel", "list");
    expect([code, stderr]).toEqual([0, ""]);
    const [head, ...rows] = cells(stdout);
    expect(head).toEqual(["NAMESPACE", "MESSAGES", "CHANNEL"]);
    expect(rows).toEqual(
      expect.arrayContaining([
        ["default", "1", "list.one"],
        ["default", "2", "list.two"],
        ["news", "1", "news.today"],
      ]),
    );
    const news = await asked("channel", "list", "--namespace", "news", "--json");
    expect(jsonLines<ChannelReport>(news.stdout)).toEqual([{ namespace: "news", channel: "news.today", messages: 1 }]);
    const first = await asked("channel", "list", "--limit", "1", "--json");
    expect(jsonLines(first.stdout)).toHaveLength(1);
    const none = await asked("channel", "list", "--namespace", "nowhere");
    expect(none).toEqual({ code: 0, stdout: "", stderr: "dogear: There are no channels in nowhere.\n" });
  });
});
