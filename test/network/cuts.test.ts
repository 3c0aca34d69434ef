/**
 * Connections that end behind so many bytes, one a little later than the one before: in the handshake, in the header of a
 * frame, in an envelope, between two of them.
 *
 *     NETWORK_CUTS=1000000     behind every byte there is, instead of behind some of them
 */
import { expect, it } from "vitest";
import { figure } from "../support/figures.ts";
import type { Weather } from "../support/proxy.ts";
import { seeded } from "../support/seeded.ts";
import { until } from "../support/waiting.ts";
import { Cast } from "./cast.ts";

const seed = Number(process.env.NETWORK_SEED ?? Date.now() % 2 ** 31);
const cutsMax = Number(process.env.NETWORK_CUTS ?? 120);

/** How far a short session gets: through its handshake, its hello and some of everything that follows. */
const reach = { toHub: 1_000, toClient: 3_000 } as const;

/** So many places of a stretch, spread evenly, beginning somewhere by chance. */
function spread(length: number, random: () => number): number[] {
  const step = Math.max(1, length / cutsMax);
  const places: number[] = [];
  for (let at = 1 + random() * (step - 1); at <= length; at += step) places.push(Math.floor(at));
  return places;
}

it.each(["toHub", "toClient"] as const)(
  `connections that end behind so many bytes %s break no promise (seed ${seed})`,
  { timeout: 600_000 },
  async (way) => {
    const random = seeded(seed);
    const cast = await Cast.start(random, 100);
    const places = spread(reach[way], random);
    cast.proxy.weather = (connection): Weather => {
      const place = places[connection - 1];
      return place === undefined ? {} : { [way]: { cutAfterBytes: place } };
    };
    cast.begin();
    await until(async () => cast.proxy.connections > places.length, "all cuts", 600_000);
    await cast.progress();
    await cast.finish();
    figure("connections cut behind a byte", places.length);
    // The last three, one of each client, may have had the time to become well.
    expect(cast.lost.items.length).toBeGreaterThanOrEqual(places.length - 3);
  },
);
