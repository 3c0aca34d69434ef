/** A page of the channels of a log, for engines that know how many messages each has. */
import type { Channel } from "@dogear/shared";
import type { ChannelCount } from "./engine.ts";

export function listed(counts: ReadonlyMap<Channel, number>, after: string, limit: number): readonly ChannelCount[] {
  return [...counts]
    .filter(([channel]) => channel > after)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([channel, messages]) => ({ channel, messages }));
}
