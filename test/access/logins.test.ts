/** That every attempt to be let in is told to whoever counts them. */
import { defaultLimits, dogearError } from "@dogear/shared";
import { expect, it } from "vitest";
import { Access, type Authenticate } from "../../server/src/access/access.ts";
import { MemoryEngine } from "../../server/src/engine/memory/memory-engine.ts";
import { systemClock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { chance } from "../support/clock.ts";

async function outcomesOf(authenticate: Authenticate | undefined, tokens: readonly string[]): Promise<string[]> {
  const outcomes: string[] = [];
  const access = await Access.open({
    policy: { tokens: undefined, keys: [], cookie: "dogear" },
    authenticate,
    limits: defaultLimits,
    state: new MemoryEngine({ clock: systemClock, chance }).state,
    clock: systemClock,
    chance,
    logger: silentLogger,
    hit: () => {},
    login: (outcome) => outcomes.push(outcome),
  });
  for (const token of tokens) await access.authenticate({ token, address: "192.0.2.1" }).catch(() => {});
  return outcomes;
}

it("is accepted, or the error it was refused with", async () => {
  const authenticate: Authenticate = async ({ token }) => {
    if (token === "good") return { user: "ada" };
    if (token === "old") return { user: "ada", expires: systemClock.now() - 1 };
    if (token === "gone") throw dogearError("revoked");
    if (token === "broken") throw new Error("the directory is down");
    return undefined;
  };
  expect(await outcomesOf(authenticate, ["good", "bad", "old", "gone", "broken", "good"])).toEqual([
    "accepted",
    "unauthorized",
    "token-expired",
    "revoked",
    "access-unavailable",
    "accepted",
  ]);
});

it("is none on a hub that lets everyone in", async () => {
  expect(await outcomesOf(undefined, ["any"])).toEqual([]);
});
