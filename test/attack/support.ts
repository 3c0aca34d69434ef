/** A hub in a process of its own, which must still be there and serve others when an attack is over. */
import { expect } from "vitest";
import { greet, publish, Reader } from "../protocol/support.ts";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { signed, tokenConfig } from "../support/tokens.ts";

/** Says hello as somebody who may do everything. */
export const root = { token: signed({ sub: "root" }) };

/** Starts a hub with tokens. */
export function besieged(config: object = {}): Promise<HubProcess> {
  return startHubProcess({ data: temporaryFolder(), config: { ...tokenConfig, ...config } });
}

/** Holds that the hub lives, has not logged that it failed, and takes a message from one to another. */
export async function expectUnharmed(hub: HubProcess): Promise<void> {
  const socket = await greet(hub, root);
  const reader = new Reader(socket);
  const place = await reader.subscribe({ pattern: "service.works" });
  await publish(socket, "service.works", "still");
  await reader.until(() => place.messages.length === 1);
  socket.close();
  expect(hub.process.stderr).not.toMatch(/"level":"error"|Unhandled|Uncaught/i);
}
