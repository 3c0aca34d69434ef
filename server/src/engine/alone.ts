/** The peers of a hub that has none: its engine is its own. */
import { dogearError } from "@dogear/shared";
import type { Chance } from "../runtime/clock.ts";
import type { HubId, Peers } from "./engine.ts";

export function alone(chance: Chance): Peers {
  return {
    self: chance.id() as HubId,
    on: () => {},
    tell: () => {},
    tellAll: () => {},
    ask: () => Promise.reject(dogearError("unavailable", "There is no other hub.")),
  };
}
