/** A leased message in its user's hands: what is done with it becomes words about its lease. */
import {
  type Epoch,
  errorLengthMax,
  type Leased,
  leaseMsBounds,
  retryMsMax,
  type Settle,
  type WireMessage,
} from "@dogear/shared";
import { StoredMessage } from "../message.ts";
import { payloadOf } from "../payload.ts";
import type { LeasedMessage, RetryOptions } from "../worker.ts";

/** What a member says of a lease. */
export type Words = Pick<Settle, "outcome" | "delayMs" | "error" | "leaseMs">;

/** Who keeps the lease of a message. */
export interface Keeper {
  readonly signal: AbortSignal;
  settle(words: Words): Promise<void>;
  extend(leaseMs?: number): Promise<void>;
}

export class HeldMessage extends StoredMessage implements LeasedMessage {
  readonly deliveries: number;
  readonly failures: number;
  readonly #keeper: Keeper;

  constructor(
    wire: WireMessage,
    epoch: Epoch,
    { deliveries, failures }: Omit<Leased["leases"][number], "fence">,
    keeper: Keeper,
  ) {
    super({ ...wire, data: payloadOf(wire) }, epoch);
    this.deliveries = deliveries;
    this.failures = failures;
    this.#keeper = keeper;
  }

  get signal(): AbortSignal {
    return this.#keeper.signal;
  }

  ack(): Promise<void> {
    return this.#keeper.settle({ outcome: "ack" });
  }

  retry({ delayMs, error }: RetryOptions = {}): Promise<void> {
    return this.#keeper.settle({
      outcome: "retry",
      delayMs: bounded("delayMs", delayMs, retryMsMax),
      error: shortened(error),
    });
  }

  reject(reason?: string): Promise<void> {
    return this.#keeper.settle({ outcome: "reject", error: shortened(reason) });
  }

  release(): Promise<void> {
    return this.#keeper.settle({ outcome: "release" });
  }

  extend(leaseMs?: number): Promise<void> {
    return this.#keeper.extend(bounded("leaseMs", leaseMs, leaseMsBounds.max));
  }
}

/** What went wrong, in as many characters as the hub keeps. */
export function shortened(error: string | undefined): string | undefined {
  return error?.slice(0, errorLengthMax);
}

/** Thrown at once and not sent: what the hub refuses would leave the message without a settlement. */
function bounded(name: string, ms: number | undefined, max: number): number | undefined {
  if (ms === undefined) return undefined;
  if (ms >= 0 && ms <= max) return Math.round(ms);
  throw new RangeError(`${name} must be from 0 to ${max}, not ${ms}.`);
}
