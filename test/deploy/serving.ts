/** What a proxy in front of a hub has to leave as it is. One suite, because it is the same for each of them. */
import { createHash, randomBytes } from "node:crypto";
import { type AddressInfo, createConnection, createServer } from "node:net";
import type { Dogear } from "@dogear/client";
import { admin } from "@dogear/client/admin";
import { jsonSubprotocol } from "@dogear/shared";
import { beforeAll, expect, test } from "vitest";
import { clientOf, happening } from "../support/hub.ts";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";
import { hubName } from "./certificate.ts";
import {
  handshake,
  type ReverseProxy,
  type StartReverseProxy,
  urlOf,
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

/** Defines the tests of one proxy. */
export function serveThrough(start: StartReverseProxy): void {
  let hub: HubProcess;
  let heads: Collected<string>;
  let proxy: ReverseProxy;

  beforeAll(async () => {
    hub = await startHubProcess({ data: temporaryFolder(), config });
    const tap = await startTap(hub.port);
    heads = tap.heads;
    proxy = await start(tap.port);
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
    expect(await statusFor(urlOf(proxy).replace("wss", "https"))).toBe(101);
    expect(await statusFor(allowedOrigin)).toBe(101);
    expect(await statusFor(`https://${hubName}:1`)).toBe(403);
    expect(await statusFor("https://elsewhere.example.com")).toBe(403);
  });

  test("says to the hub who comes and how, whatever the visitor says", async () => {
    const lies = { "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http" };
    const visitor = visitorOf(proxy, key, { headers: lies, origin: allowedOrigin });
    await visitor.ready();
    const { sessions } = await admin(visitor).sessions();
    expect(sessions.map(({ address }) => address)).toContain(visitorAddress);
    expect(sessions.map(({ address }) => address)).not.toContain("192.0.2.1");
    const head = await heads.find((text) => text.includes(allowedOrigin));
    expect(valuesOf(head, "x-forwarded-for")).toEqual([visitorAddress]);
    expect(valuesOf(head, "x-forwarded-proto")).toEqual(["https"]);
  });

  test("sends who comes without TLS to where there is", async () => {
    const { status } = await fetch(`http://127.0.0.1:${proxy.ports.http}/`, { redirect: "manual" });
    expect([301, 308]).toContain(status);
  });
}

interface Tap {
  readonly port: number;
  /** How the first request of each connection begins. */
  readonly heads: Collected<string>;
}

/** A port that leads to the hub, and what is said to the hub there. */
async function startTap(hubPort: number): Promise<Tap> {
  const heads = new Collected<string>();
  const server = createServer((near) => {
    const far = createConnection(hubPort, "127.0.0.1");
    let head = "";
    near.on("data", (bytes) => {
      if (head.includes("\r\n\r\n")) return;
      head += bytes.toString("latin1");
      if (head.includes("\r\n\r\n")) heads.add(head);
    });
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  whenDone(() => {
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, heads };
}

/** All values of a header, because one that is sent twice is not one that was replaced. */
function valuesOf(head: string, name: string): string[] {
  const lines = head.split("\r\n").map((line) => line.split(": "));
  return lines.filter(([key]) => key?.toLowerCase() === name).map(([, value]) => value ?? "");
}
