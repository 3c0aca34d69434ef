/** API keys of services: random, so that a plain hash of them can be stored and compared. */
import { createHash, timingSafeEqual } from "node:crypto";
import { permissionsOf } from "./capabilities.ts";
import type { KeyPolicy } from "./policy.ts";
import type { Principal } from "./principal.ts";

export class Keys {
  readonly #keys: readonly { readonly hash: Buffer; readonly principal: Principal }[];

  constructor(policies: readonly KeyPolicy[]) {
    this.#keys = policies.map(({ name, hash, capabilities, limits }) => ({
      hash: Buffer.from(hash, "hex"),
      principal: { user: name, permissions: permissionsOf(capabilities, name), limits, revocable: false },
    }));
  }

  /** Who comes with a key; `undefined` where it is none of those configured. Takes as long whichever it is. */
  find(key: string): Principal | undefined {
    const hash = sha256(key);
    let found: Principal | undefined;
    for (const one of this.#keys) if (timingSafeEqual(one.hash, hash)) found = one.principal;
    return found;
  }
}

/** The hash of a key, as the configuration has it in hexadecimal. */
export function sha256(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
