/** A hub that lets everybody do everything is for its own machine alone. */
import { type AccessParts, isOpen } from "../access/access.ts";
import { isLoopback } from "../access/addresses.ts";
import { ConfigError } from "./mistakes.ts";

/** Refuses to let machines in that nobody asks who they are. */
export function checkExposure(access: Pick<AccessParts, "policy" | "authenticate">, host: string): void {
  if (!isOpen(access) || isLoopback(host)) return;
  throw new ConfigError([
    `listen.host is ${host}, but there is no access control: other machines could do everything. ` +
      "Configure access.tokens or access.keys, or listen on 127.0.0.1.",
  ]);
}
