/**
 * What one process did and saw: a JSON object a line, written before the process acts on it, so that `kill -9` takes
 * nothing back. Publishers, subscribers and workers write one; so does whoever makes faults, and whoever reads everything
 * in the end.
 *
 *     invoke   it is about to happen, or its handler was called
 *     ok       it happened, or its handler is done
 *     fail     it certainly did not happen
 *     info     nobody knows, or nobody asked
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Channel, Durability, Epoch, GapReason, Offset, Pattern } from "@dogear/shared";

/** A message's place, for every reader the same. */
export interface Place {
  readonly epoch: Epoch;
  readonly offset: Offset;
}

/** Names a place of one log. */
export function placeIn({ epoch, offset }: Place): string {
  return `${epoch}/${offset}`;
}

/** What it is and what it carries. Two payloads are the same exactly if these texts are. */
export interface Content {
  readonly channel: Channel;
  /** The id its publisher gave it, which no other draft has. */
  readonly draft: string;
  readonly payload: string;
}

type PublishHappened =
  | ({ readonly op: "publish"; readonly kind: "invoke" } & Content)
  | ({
      readonly op: "publish";
      readonly kind: "ok";
      readonly draft: string;
      /** What the acknowledgement says the message survives. */
      readonly durability: Durability;
    } & Place)
  | { readonly op: "publish"; readonly kind: "fail" | "info"; readonly draft: string; readonly error: string };

/** A draft that is to be published later. */
type ScheduleHappened =
  | ({ readonly op: "schedule"; readonly kind: "invoke" } & Content)
  | { readonly op: "schedule"; readonly kind: "ok"; readonly draft: string }
  | { readonly op: "schedule"; readonly kind: "fail" | "info"; readonly draft: string; readonly error: string };

type SubscribeHappened =
  /** With a subscriber it is durable; from the earliest message, if there is no cursor, or from now. */
  | {
      readonly op: "subscribe";
      readonly kind: "invoke";
      readonly subscription: string;
      readonly pattern: Pattern;
      readonly subscriber?: string | undefined;
      readonly fromEarliest: boolean;
    }
  /** The hub confirmed it, the first time or after a reconnect; what follows this place is what it sends. */
  | ({ readonly op: "subscribe"; readonly kind: "ok"; readonly subscription: string } & Place)
  /** It ended, for good. */
  | { readonly op: "subscribe"; readonly kind: "fail"; readonly subscription: string; readonly error: string };

type DeliverHappened =
  | ({ readonly op: "deliver"; readonly kind: "invoke"; readonly subscription: string } & Place & Content)
  | ({ readonly op: "deliver"; readonly kind: "ok"; readonly subscription: string } & Place);

/** A range that will not be delivered; the subscription goes on after its place. */
type GapHappened = {
  readonly op: "gap";
  readonly kind: "info";
  readonly subscription: string;
  readonly from: Offset;
  readonly to: Offset | null;
  readonly reason: GapReason;
} & Place;

/** Which lease, in words that need no fence. */
interface LeaseName extends Place {
  readonly group: string;
  readonly deliveries: number;
}

type LeaseHappened = {
  readonly op: "lease";
  readonly kind: "invoke";
  readonly failures: number;
} & LeaseName;

/** `fail`: it was refused, because the lease was not held any more. `info`: nobody knows. */
type SettleHappened = {
  readonly op: "settle";
  readonly kind: "invoke" | "ok" | "fail" | "info";
  readonly outcome: "ack" | "retry" | "reject" | "release";
} & LeaseName;

/** Something that was done to the system, and the most durable of what it may have taken away. */
type FaultHappened = {
  readonly op: "fault";
  readonly kind: "info";
  readonly fault: string;
  readonly takes?: Durability | undefined;
};

/** How much a hub held for one connection, of how much it may. */
type BufferHappened = {
  readonly op: "buffer";
  readonly kind: "info";
  readonly bytes: number;
  readonly bytesMax: number;
};

type ReadHappened =
  /** A message of the final, full read, in the order of its log. */
  | ({ readonly op: "read"; readonly kind: "ok"; readonly key?: string | undefined } & Place & Content)
  /** A dead letter of it: which message of which group it is about. */
  | {
      readonly op: "read-dead";
      readonly kind: "ok";
      readonly group: string;
      readonly about: Offset;
      readonly reason: string;
    }
  /** What its log reaches to. Retention has removed what comes before `oldest`, though the read may still know it. */
  | {
      readonly op: "read-bounds";
      readonly kind: "ok";
      readonly namespace: string;
      readonly oldest: Offset;
      readonly newest: Offset;
    };

/** What can be in a history. */
export type Happened =
  | PublishHappened
  | ScheduleHappened
  | SubscribeHappened
  | DeliverHappened
  | GapHappened
  | LeaseHappened
  | SettleHappened
  | FaultHappened
  | BufferHappened
  | ReadHappened;

/** The events of one kind. */
export type EventOf<Op extends Happened["op"], Kind extends Happened["kind"]> = Extract<
  HistoryEvent,
  { op: Op; kind: Kind }
>;

export type HistoryEvent = Happened & {
  /** One life of one process. Started again, it is another. */
  readonly process: string;
  /** Milliseconds of the machine's monotonic clock, so that the histories of several processes can be compared. */
  readonly at: number;
};

export class HistoryWriter {
  readonly #process: string;
  readonly #file: number;

  constructor(file: string, process: string) {
    this.#process = process;
    this.#file = openSync(file, "a");
  }

  /** On return it can no longer be lost to the death of this process. */
  write(happened: Happened): void {
    const at = Number(process.hrtime.bigint()) / 1e6;
    writeSync(this.#file, `${JSON.stringify({ process: this.#process, at, ...happened })}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The events of several histories, in the order in which they happened. */
export function readHistories(files: readonly string[]): HistoryEvent[] {
  return files.flatMap(readHistory).sort((a, b) => a.at - b.at);
}

function readHistory(file: string): HistoryEvent[] {
  const lines = readFileSync(file, "utf8").split("\n");
  // Empty, or cut short by the death of the process, which then did not act on it.
  lines.pop();
  return lines.map((line) => JSON.parse(line) as HistoryEvent);
}
