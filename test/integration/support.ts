/** A hub with a client on the other side of a bad network, and numbers as messages. */
import type { Dogear } from "@dogear/client";
import { type ClientOptions, clientOf, type HubOptions, startHub, type TestHub } from "../support/hub.ts";
import { startProxy, type TcpProxy } from "../support/proxy.ts";

export interface World {
  readonly hub: TestHub;
  readonly proxy: TcpProxy;
  /** Connected through the proxy. */
  readonly remote: Dogear;
  /** Connected to the hub itself. */
  readonly local: Dogear;
}

export async function startWorld(options: HubOptions & { readonly remote?: ClientOptions } = {}): Promise<World> {
  const hub = await startHub(options);
  const proxy = await startProxy(hub.port);
  const remote = clientOf(proxy.url, { subscriber: "remote", ...options.remote });
  return { hub, proxy, remote, local: clientOf(hub.url, { subscriber: "local" }) };
}

/** 1, 2, 3, … */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Publishes 1, 2, 3, … all at once. */
export function publishNumbers(dogear: Dogear, count: number, channel = "a.b"): Promise<unknown> {
  return Promise.all(upTo(count).map((number) => dogear.publish(channel, number)));
}

/** What the log holds of a channel, in order. */
export async function logged(dogear: Dogear, channel = "a.b"): Promise<unknown[]> {
  await dogear.publish(channel, "end");
  const found: unknown[] = [];
  for await (const { data } of dogear.subscribe(channel, { from: "earliest" })) {
    if (data === "end") break;
    found.push(data);
  }
  return found;
}
