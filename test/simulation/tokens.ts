/** Short-lived tokens, which say themselves until when they are good, and whoever issues them, who is not always there. */
import type { FetchToken } from "@dogear/client";
import type { Authenticate } from "../../server/src/access/access.ts";
import { startedAt } from "./machine.ts";
import type { Timeline } from "./timeline.ts";

const lifeMs = 6_000;

export class Tokens {
  /** Of all tokens that are asked for, how many are not given. */
  failing = 0;
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  readonly fetch: FetchToken = async () => {
    const timeline = this.#timeline;
    await new Promise<void>((resolve) => timeline.after(timeline.random() * 300, resolve));
    if (timeline.chance(this.failing)) throw new Error("No token today.");
    return String(Math.floor(startedAt + timeline.now + lifeMs));
  };

  readonly authenticate: Authenticate = async ({ token }) => {
    if (token === undefined) return undefined;
    const rights = ["publish", "subscribe", "work", "admin"] as const;
    return { user: "user", expires: Number(token), capabilities: { ">": rights } };
  };
}
