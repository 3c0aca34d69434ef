/**
 * Which pages may use the hub from a browser. A WebSocket is not held to the same-origin policy, so a page of anybody's could
 * open one in the name of whoever looks at it (CWE-1385): the hub itself must ask where the page is from.
 */
import { isLoopback } from "./addresses.ts";

export interface OriginPolicy {
  /** Origins that are allowed besides the hub's own, to the letter; `*` stands for all. */
  readonly origins: readonly string[];
  /** Hosts by which the hub may be called besides this machine's own names. */
  readonly hosts: readonly string[];
  /** Whether the hub has no access control, and so may be called by those names only. */
  readonly isOpen: boolean;
}

export class Origins {
  readonly #policy: OriginPolicy;

  constructor(policy: OriginPolicy) {
    this.#policy = policy;
  }

  /**
   * Whether a request may be answered. One without an origin is not a page's. Without access control the host must be known
   * too: a page could otherwise have its own name lead to this machine (DNS rebinding), and be of the same origin.
   */
  allows({ origin, host }: { readonly origin: string | undefined; readonly host: string | undefined }): boolean {
    if (this.#policy.isOpen && !this.#isKnown(host)) return false;
    return origin === undefined || this.isAllowed(origin) || isSame(origin, host);
  }

  /** Whether an origin is one of those that were configured. */
  isAllowed(origin: string): boolean {
    return this.isNamed(origin) || this.#policy.origins.includes("*");
  }

  /** Whether an origin was configured by its name, and not only as one of all. */
  isNamed(origin: string): boolean {
    return this.#policy.origins.includes(origin);
  }

  #isKnown(host = ""): boolean {
    const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    return isLoopback(name) || this.#policy.hosts.includes(name);
  }
}

/** Behind a proxy only it knows whether the page came over TLS, so schemes are not compared. */
function isSame(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `https://${host}` || origin === `http://${host}`);
}
