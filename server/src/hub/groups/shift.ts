/** What a group works with from one reset to the next: its leases, what brings messages in, what buries them. */
import type { Gap, Offset } from "@dogear/shared";
import type { Chance } from "../../runtime/clock.ts";
import type { Ledger } from "../ledger.ts";
import type { Namespace } from "../namespace.ts";
import { Burials } from "./burials.ts";
import { Intake } from "./intake.ts";
import type { Item } from "./item.ts";
import { type Journal, Leases } from "./leases.ts";
import type { GroupHead } from "./record.ts";

export interface ShiftParts {
  readonly namespace: Namespace;
  readonly name: string;
  readonly ledger: Ledger<GroupHead, Item>;
  readonly unsettledMax: number;
  readonly chance: Chance;
  /** Whether anybody wants messages now. */
  isWanted(): boolean;
  /** A range of the log that can no longer be given. */
  missed(gap: Gap): void;
  /** So many messages are gone without having been settled. */
  lost(count: number, facts: Readonly<Record<string, unknown>>): void;
  /** There is something to do. */
  wake(): void;
}

export class Shift {
  readonly leases: Leases;
  readonly intake: Intake;
  readonly burials: Burials;
  readonly #parts: ShiftParts;
  #isOver = false;

  constructor(parts: ShiftParts) {
    this.#parts = parts;
    const { head } = parts.ledger;
    const random = () => parts.chance.random();
    this.leases = new Leases({
      policy: head.policy,
      journal: this.#journal(),
      random,
      nextFence: () => ++head.fence,
    });
    this.intake = new Intake({ ...parts, head, leases: this.leases, lost: (gap) => parts.missed(gap) });
    this.burials = new Burials({
      log: parts.namespace.log,
      group: parts.name,
      channel: head.deadChannel,
      incarnation: () => head.incarnation,
      texts: this.intake.texts,
      store: () => parts.ledger.flush(),
      buried: (item, offset) => this.#buried(item, offset),
      vanished: (item) => this.vanished(item),
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The group was reset: what is still under way here changes nothing any more. */
  end(): void {
    this.#isOver = true;
    this.intake.rest();
  }

  /** Buries what is dying. Rejects where the log cannot take it now. */
  bury(): Promise<void> {
    return this.burials.bury(this.leases.dying);
  }

  /** A message was leased, or dying, and the log can give it no more: it was damaged. */
  vanished(item: Item): void {
    this.leases.discard(item);
    this.#parts.lost(1, { offset: item.offset });
    this.#parts.wake();
  }

  #buried(item: Item, offset: Offset): void {
    const { ledger, wake } = this.#parts;
    ledger.head.buried = Math.max(ledger.head.buried, offset) as Offset;
    this.leases.forget(item);
    ledger.touch();
    wake();
  }

  #journal(): Journal {
    const { ledger } = this.#parts;
    return {
      store: (item) => {
        if (!this.#isOver) ledger.put(item);
      },
      remove: (offset) => {
        if (this.#isOver) return;
        ledger.remove(offset);
        this.intake.texts.drop(offset);
      },
    };
  }
}
