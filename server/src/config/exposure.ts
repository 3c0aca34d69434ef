/** A hub that lets everybody do everything is for its own machine alone. */
import { BlockList, isIP } from "node:net";
import type { AccessPolicy } from "../access/policy.ts";
import { ConfigError } from "./mistakes.ts";

/** Whether there is no access control: neither tokens nor keys. */
export function isOpen({ tokens, keys }: AccessPolicy): boolean {
  return tokens === undefined && keys.length === 0;
}

/** Refuses to let machines in that nobody asks who they are. */
export function checkExposure(access: AccessPolicy, host: string): void {
  if (!isOpen(access) || isLoopback(host)) return;
  throw new ConfigError([
    `listen.host is ${host}, but there is no access control: other machines could do everything. ` +
      "Configure access.tokens or access.keys, or listen on 127.0.0.1.",
  ]);
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether only this machine can connect to an address. Of names, only one is known to be such. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}
