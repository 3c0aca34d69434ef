/** What a proxy in front of a hub has to leave as it is. One suite, because it is the same for each of them. */
import { createHash, randomBytes } from "node:crypto";
import type { Dogear } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import { jsonSubprotocol } from "@dogear/shared";
import { beforeAll, expect, test } from "vitest";
import { clientOf, happening } from "../support/hub.ts";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { hubName } from "./certificate.ts";
import {
  ask,
  handshake,
  originOf,
  type ReverseProxy,
  type StartReverseProxy,
  visitorAddress,
  visitorOf,
} from "./reverse-proxy.ts";

const allowedOrigin = "https://app.example.com";

/** A hub as it is where a proxy is: whoever comes has a key, pages have an origin, and the proxy is believed. */
const key = randomBytes(32).toString("base64url");
const config = {
  listen: { trustedProxies: ["127.0.0.1"], origins: [allowedOrigin] },
  access: {
    keys: {
      visitor: {
        hash: createHash("sha256").update(key).digest("hex"),
        capabilities: { ">": ["publish", "subscribe", "admin"] },
      },
    },
  },
};

const authorization = { authorization: `Bearer ${key}` };

/** Defines the tests of one proxy. */
export function serveThrough(start: StartReverseProxy): void {
  let hub: HubProcess;
  let proxy: ReverseProxy;

  beforeAll(async () => {
    hub = await startHubProcess({ data: temporaryFolder(), config });
    proxy = await start(hub.port);
  });

  test("carries what is published and subscribed to, over TLS", async () => {
    const visitor = visitorOf(proxy, key);
    const seen = new Collected<unknown>();
    await visitor.subscribe("carried", {}, ({ data }) => seen.add(data)).ready();
    const large = "x".repeat(200_000);
    expect(await visitor.publish("carried", large)).toMatchObject({ durability: "disk" });
    await visitor.publish("carried", "small");
    expect(await seen.reach(2)).toEqual([large, "small"]);
  });

  test("is left and come back to when it is reloaded, with nothing lost and nothing twice", async () => {
    const [visitor, local] = [visitorOf(proxy, key), clientOf(hub.url, { token: key })];
    const seen = new Collected<unknown>();
    await visitor.subscribe("reloaded", {}, ({ data }) => seen.add(data)).ready();
    let isBack = false;
    visitor.addEventListener("resumed", () => {
      isBack = true;
    });
    const published: number[] = [];
    const publish = async (publisher: Dogear): Promise<void> => {
      published.push(published.length);
      await publisher.publish("reloaded", published.at(-1));
    };
    await publish(visitor);
    await proxy.reload();
    while (!isBack) await publish(local);
    await publish(visitor);
    expect(await seen.reach(published.length)).toEqual(published);
  });

  test("passes on why the hub closes, and leads to its successor", async () => {
    const data = temporaryFolder();
    const first = await startHubProcess({ data, config });
    const visitor = visitorOf(await start(first.port), key);
    const seen = new Collected<unknown>();
    await visitor.subscribe("continued", {}, ({ data }) => seen.add(data)).ready();
    const waiting = happening(visitor, "state", ({ name }) => name === "waiting");
    await first.stop();
    expect((await waiting).code).toBe("draining");
    const published = visitor.publish("continued", "meanwhile");
    await startHubProcess({ data, config, port: first.port });
    await published;
    expect(await seen.reach(1)).toEqual(["meanwhile"]);
  });

  test("passes on in which words the hub refuses", async () => {
    const { status, body } = await handshake(proxy, "another.protocol");
    expect(status).toBe(400);
    expect(JSON.parse(body)).toMatchObject({ error: { code: "invalid-request" } });
  });

  test("lets pages in that are the hub's own or allowed, and no others", async () => {
    const statusFor = async (origin: string) => (await handshake(proxy, jsonSubprotocol, { origin })).status;
    expect(await statusFor(originOf(proxy))).toBe(101);
    expect(await statusFor(allowedOrigin)).toBe(101);
    expect(await statusFor(`https://${hubName}:1`)).toBe(403);
    expect(await statusFor("https://elsewhere.example.com")).toBe(403);
  });

  test("says to the hub who comes, whatever the visitor says", async () => {
    const visitor = visitorOf(proxy, key, { headers: { "x-forwarded-for": "192.0.2.1" } });
    await visitor.ready();
    const { sessions } = await admin(visitor).sessions();
    expect(sessions.map(({ address }) => address)).toContain(visitorAddress);
    expect(sessions.map(({ address }) => address)).not.toContain("192.0.2.1");
  });

  test("carries what is published over HTTP, from the hub's own pages as well", async () => {
    const origin = originOf(proxy);
    const headers = { ...authorization, origin, "content-type": "application/json" };
    const body = JSON.stringify("x".repeat(200_000));
    const published = await ask(proxy, { path: "/publish/posted", method: "POST", headers, body });
    expect([published.status, await published.json()]).toMatchObject([200, { durability: "disk" }]);
    const refused = await ask(proxy, { path: "/publish/posted", method: "POST", headers, body: body.repeat(6) });
    expect([refused.status, await refused.json()]).toMatchObject([413, { error: { code: "message-too-large" } }]);
  });

  test("passes each event on when it comes, and the hub is told when its reader has gone", async () => {
    const local = clientOf(hub.url, { token: key });
    const stream = await ask(proxy, { path: "/events?pattern=streamed", headers: authorization });
    expect(stream.headers["content-type"]).toBe("text/event-stream");
    const read = new Collected<string>();
    stream.body.setEncoding("utf8").on("data", read.add);
    for (const number of [1, 2, 3]) {
      await local.publish("streamed", { number });
      await read.find((text) => text.includes(`{"number":${number}}`));
    }
    const streams = async () => {
      const { sessions } = await admin(local).sessions();
      return sessions.filter(({ address, subscriptions }) => address === visitorAddress && subscriptions === 1).length;
    };
    expect(await streams()).toBe(1);
    stream.body.close();
    await expect.poll(streams).toBe(0);
  });

  test("lets a poll wait for its message", async () => {
    const local = clientOf(hub.url, { token: key });
    const { offset, epoch } = await local.publish("polled", 1);
    const path = `/messages?pattern=polled&after=${epoch}:${offset}&waitMs=20000`;
    const waiting = ask(proxy, { path, headers: authorization });
    await local.publish("polled", 2);
    expect(await (await waiting).json()).toMatchObject({ messages: [{ data: 2 }] });
  });

  test("says to the hub that it was spoken to over TLS, whatever the visitor says", async () => {
    const bought = await ask(proxy, { path: "/ticket", method: "POST", headers: authorization, body: "" });
    const { ticket } = (await bought.json()) as { readonly ticket: string };
    const headers = { "x-forwarded-proto": "http" };
    const stream = await ask(proxy, { path: `/events?pattern=streamed&ticket=${ticket}`, headers });
    expect(stream.headers["set-cookie"]).toEqual([expect.stringMatching(/; Secure\b/)]);
    stream.body.close();
  });

  test("sends who comes without TLS to where there is", async () => {
    const { status } = await fetch(`http://127.0.0.1:${proxy.ports.http}/`, { redirect: "manual" });
    expect([301, 308]).toContain(status);
  });
}
