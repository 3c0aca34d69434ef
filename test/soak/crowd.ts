/**
 * Two thousand connections that come and go, each in a room of its own choice; some are durable and come back under their
 * name. Beside them one that reads every room, a slow one, and two that are frozen: one for longer than the hub waits for an
 * answer, so that the hub lets go of it, and one that has asked for so much time that the hub has to bear with it.
 */
import { roomName } from "./chatter.ts";
import { Reader, type ReaderOptions, type Tally } from "./reader.ts";

export interface CrowdOptions {
  readonly url: string;
  readonly connections: number;
  readonly rooms: number;
  /** Connections that are replaced in a second. */
  readonly churn: number;
  readonly random: () => number;
}

/** One of so many seats is a durable subscriber's. */
const durableShare = 10;

const window = { messages: 64, bytes: 256 * 1_024 };
const wide = { messages: 10_000, bytes: 16 * 1_024 * 1_024 };

/** As much time as may be asked for. */
const longHeartbeatMs = 900_000;

/** How long the frozen are frozen; longer than retention keeps what they miss. */
const frozenMs = 120_000;
const thawedMs = 10_000;

/** How many are opened at a time. */
const openingMax = 50;

interface Seat {
  readonly options: ReaderOptions;
  reader: Reader | undefined;
}

export class Crowd {
  /** Connections that came after the first ones. */
  replaced = 0;
  readonly #options: CrowdOptions;
  readonly #tally: Tally;
  readonly #seats: Seat[] = [];
  /** Seats that are empty for a moment, until somebody else has come. */
  readonly #opening = new Set<Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  static async gather(options: CrowdOptions, tally: Tally): Promise<Crowd> {
    const crowd = new Crowd(options, tally);
    for (let i = 0; i < options.connections; i++) {
      crowd.#seat({ pattern: roomName(i % options.rooms), window, ...(i % durableShare === 0 && durable(i)) });
      if (crowd.#opening.size >= openingMax) await Promise.race(crowd.#opening);
    }
    await crowd.#gatherOddOnes();
    await Promise.all(crowd.#opening);
    crowd.#every(1_000 / options.churn, () => crowd.#replaceOne());
    return crowd;
  }

  private constructor(options: CrowdOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
  }

  /** All leave at once. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#opening);
    for (const { reader } of this.#seats) reader?.close();
  }

  async #gatherOddOnes(): Promise<void> {
    this.#seat({ pattern: roomName(">"), window });
    this.#seat({ pattern: roomName(">"), window, slowMs: 2_000, subscriber: "slow" });
    const frozen = [
      this.#seat({ pattern: roomName(">"), window: wide }),
      this.#seat({ pattern: roomName(">"), window: wide, heartbeatMs: longHeartbeatMs }),
    ];
    await Promise.all(this.#opening);
    const freeze = () => {
      for (const { reader } of frozen) reader?.freeze();
    };
    const thaw = () => {
      for (const { reader } of frozen) reader?.thaw();
      this.#timers.add(setTimeout(freeze, thawedMs));
    };
    freeze();
    this.#every(frozenMs, thaw);
  }

  #seat(options: Omit<ReaderOptions, "url">): Seat {
    const seat: Seat = { options: { url: this.#options.url, ...options }, reader: undefined };
    this.#seats.push(seat);
    this.#take(seat);
    return seat;
  }

  /** Somebody takes the place of whoever had it before. */
  #take(seat: Seat): void {
    const seen = seat.options.subscriber === undefined ? undefined : seat.reader?.lastSeen;
    seat.reader = undefined;
    const opening = Reader.open({ ...seat.options, ...(seen && { seen }) }, this.#tally).then(async (reader) => {
      // The hub lets go of one that is frozen.
      reader.onClose = () => {
        if (!this.#closed) this.#take(seat);
      };
      await reader.subscribed;
      seat.reader = reader;
    });
    this.#opening.add(opening);
    void opening.finally(() => this.#opening.delete(opening));
  }

  #replaceOne(): void {
    const { connections, random } = this.#options;
    const seat = this.#seats[Math.floor(random() * connections)] as Seat;
    if (seat.reader === undefined) return;
    seat.reader.close();
    this.replaced++;
    this.#take(seat);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.add(setInterval(act, ms));
  }
}

function durable(seat: number): Pick<ReaderOptions, "subscriber"> {
  return { subscriber: `device-${seat}` };
}
