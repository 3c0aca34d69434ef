/** The peers of a hub that has none: its engine is its own. It bears the same name each time, since nobody else can. */
import { dogearError } from "@dogear/shared";
import type { HubId, Peers } from "./engine.ts";

const self: HubId = "embedded";

export const alone: Peers = {
  self,
  canBe: false,
  others: [],
  isThere: (hub) => hub === self,
  onGone: () => {},
  on: () => {},
  tell: () => {},
  tellAll: () => {},
  ask: () => Promise.reject(dogearError("unavailable", "There is no other hub.")),
};
