import { describe, expect, test } from "vitest";
import { admin } from "../../client/src/admin.ts";
import { clientOf, happening, refusal, startHub } from "../support/hub.ts";
import { signed, tokenConfig } from "../support/tokens.ts";
import { Collected } from "../support/waiting.ts";

describe("a client with a function for its token", () => {
  test("gets a new one before the old one expires, and its session goes on", async () => {
    const hub = await startHub({ config: tokenConfig });
    const fetched = new Collected<string>();
    const token = (): string => {
      const token = signed({ sub: "ada" }, 4_000);
      fetched.add(token);
      return token;
    };
    const client = clientOf(hub.url, { token });
    const states: string[] = [];
    client.addEventListener("state", ({ detail: { name } }) => states.push(name));
    const got = new Collected<unknown>();
    await client.subscribe("a.>", {}, ({ data }) => got.add(data)).ready();
    expect(client.user).toBe("ada");
    // The third replaces the second, when the first has long expired.
    await fetched.reach(3);
    await client.publish("a.b", "after more than the life of a token");
    await got.reach(1);
    expect(states).toEqual(["open"]);
  });

  test("comes back with a new one where the old one has expired", async () => {
    const hub = await startHub({ config: tokenConfig });
    let count = 0;
    // The first lives no longer than the refresh of it takes, as over a sleep of the machine.
    const token = (): string => signed({ sub: "ada" }, ++count === 1 ? 300 : 60_000);
    const client = clientOf(hub.url, { token });
    await client.ready();
    await happening(client, "state", ({ code }) => code === "token-expired");
    await client.publish("a.b", 1);
    expect(count).toBe(2);
  });

  test("loses the subscriptions that a new token does not cover, and no others", async () => {
    const hub = await startHub({ config: tokenConfig });
    let capabilities: Record<string, string[]> = { ">": ["subscribe"] };
    const client = clientOf(hub.url, { token: () => signed({ sub: "ada", capabilities }, 1_500) });
    const kept = client.subscribe("public.>");
    const lost = client.subscribe("secret.>");
    await Promise.all([kept.ready(), lost.ready()]);
    capabilities = { "public.>": ["subscribe"] };
    expect(await refusal(lost.ended)).toBe("forbidden");
    expect(kept.state).not.toBe("ended");
    expect(client.state.name).toBe("open");
  });
});

describe("a client with a string for its token", () => {
  test("ends when it has expired", async () => {
    const hub = await startHub({ config: tokenConfig });
    const client = clientOf(hub.url, { token: signed({ sub: "ada" }, 1_000) });
    await client.ready();
    await happening(client, "state", ({ name }) => name === "closed");
    expect(client.state).toMatchObject({ code: "token-expired" });
    expect(await refusal(client.publish("a.b", 1))).toBe("token-expired");
  });

  test("is not let in with one that has expired, nor with none", async () => {
    const hub = await startHub({ config: tokenConfig });
    const expired = clientOf(hub.url, { token: signed({ sub: "ada" }, -1_000) });
    expect(await refusal(expired.ready())).toBe("token-expired");
    expect(await refusal(clientOf(hub.url).ready())).toBe("unauthorized");
  });
});

describe("an operator", () => {
  test("sees who is connected and what there is, and ends a session, whose client comes back", async () => {
    const hub = await startHub({ config: tokenConfig });
    const operator = admin(clientOf(hub.url, { token: signed({ sub: "olga" }) }));
    const ada = clientOf(hub.url, { token: () => signed({ sub: "ada" }), subscriber: "phone" });
    await ada.publish("a.b", 1);
    expect(await operator.namespaces()).toMatchObject([{ namespace: "default", durability: "disk", newest: 1 }]);
    expect(await operator.channels()).toEqual({ channels: [{ channel: "a.b", namespace: "default", messages: 1 }] });
    const { sessions } = await operator.sessions();
    expect(sessions.map(({ user }) => user).sort()).toEqual(["ada", "olga"]);
    const session = sessions.find(({ user }) => user === "ada");
    expect(session).toMatchObject({ subscriber: "phone", expires: expect.any(Number), subscriptions: 0 });

    const lost = happening(ada, "state", ({ code }) => code === "disconnected");
    await operator.disconnect(session?.session ?? "");
    await lost;
    await ada.publish("a.b", 2);
    expect(await refusal(operator.disconnect(session?.session ?? ""))).toBe("unknown-session");
  });

  test("revokes a user's tokens, and later ones are good", async () => {
    const hub = await startHub({ config: tokenConfig });
    const operator = admin(clientOf(hub.url, { token: signed({ sub: "olga" }) }));
    const ada = clientOf(hub.url, { token: signed({ sub: "ada" }) });
    await ada.ready();
    const closed = happening(ada, "state", ({ name }) => name === "closed");
    expect(await operator.revoke({ user: "ada" })).toEqual({ sessions: 1 });
    expect(await closed).toMatchObject({ code: "revoked" });
    await clientOf(hub.url, { token: signed({ sub: "ada" }) }).ready();
  });

  test("needs to be one", async () => {
    const hub = await startHub({ config: tokenConfig });
    const token = signed({ sub: "ada", capabilities: { "a.>": ["admin"] } });
    const operator = admin(clientOf(hub.url, { token }));
    for (const asked of [operator.sessions(), operator.disconnect("s"), operator.revoke({ user: "olga" })])
      expect(await refusal(asked)).toBe("forbidden");
  });
});
