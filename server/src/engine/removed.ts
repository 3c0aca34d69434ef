/**
 * The highest offset that retention removed from each channel: what tells a gap from a quiet channel.
 *
 * Memory is bounded: beyond `channelsMax` channels, those removed longest ago are folded into one floor below which
 * every position counts as overtaken.
 */
import { type Channel, isWildcard, matcher, type Offset, type Pattern } from "@dogear/shared";

export const removedChannelsMax = 200_000;

export class Removed {
  readonly #through = new Map<Channel, Offset>();
  #highest = 0 as Offset;
  #floor = 0 as Offset;

  /** Below this every position counts as overtaken. */
  get floor(): Offset {
    return this.#floor;
  }

  restore(floor: Offset, entries: Iterable<readonly [Channel, Offset]>): void {
    this.#floor = floor;
    this.#highest = floor;
    for (const [channel, offset] of entries) this.record(channel, offset);
  }

  /** The highest offset of each channel, those removed longest ago first. */
  entries(): Iterable<readonly [Channel, Offset]> {
    return this.#through;
  }

  record(channel: Channel, offset: Offset): void {
    this.#through.delete(channel);
    this.#through.set(channel, offset);
    if (offset > this.#highest) this.#highest = offset;
    if (this.#through.size <= removedChannelsMax) return;
    for (const [oldest, through] of this.#through) {
      this.#through.delete(oldest);
      if (through > this.#floor) this.#floor = through;
      return;
    }
  }

  /** Something was removed, and nobody knows of which channels. */
  raiseFloor(through: Offset): void {
    this.#floor = Math.max(this.#floor, through) as Offset;
    this.#highest = Math.max(this.#highest, through) as Offset;
  }

  /** The highest offset after `after` that matched and was removed. */
  through(pattern: Pattern, after: Offset): Offset | undefined {
    if (after >= this.#highest) return undefined;
    let highest = this.#floor;
    if (isWildcard(pattern)) {
      const matches = matcher(pattern);
      for (const [channel, offset] of this.#through) if (offset > highest && matches(channel)) highest = offset;
    } else {
      highest = Math.max(highest, this.#through.get(pattern as unknown as Channel) ?? 0) as Offset;
    }
    return highest > after ? highest : undefined;
  }
}
