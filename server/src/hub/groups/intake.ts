/** What comes into a group: the messages of its pattern, and dead letters that are given to it once more. */
import type { Gap, Offset } from "@dogear/shared";
import type { Messages } from "../../engine/messages.ts";
import { expiryOf, textOf } from "../../engine/text.ts";
import type { Namespace } from "../namespace.ts";
import { HeldTexts } from "./held-texts.ts";
import type { Item } from "./item.ts";
import type { Leases } from "./leases.ts";
import { orderOf } from "./order.ts";
import { Reader, type Taker } from "./reader.ts";
import type { GroupHead } from "./record.ts";
import { Redriver } from "./redriver.ts";

export interface IntakeParts {
  readonly namespace: Namespace;
  readonly head: Readonly<GroupHead>;
  readonly leases: Leases;
  /** Most messages that may be unsettled. */
  readonly unsettledMax: number;
  /** Whether anybody wants messages now. */
  isWanted(): boolean;
  /** What can no longer be given. */
  lost(gap: Gap): void;
  /** There is something new to see to. */
  wake(): void;
}

/** Messages that are read ahead of those that can be leased. */
const readAheadMax = 2_000;

export class Intake implements Taker {
  readonly texts: HeldTexts;
  readonly redriver: Redriver;
  readonly #parts: IntakeParts;
  readonly #reader: Reader;

  constructor(parts: IntakeParts) {
    const { namespace, head } = parts;
    this.texts = new HeldTexts(namespace.log, head);
    this.redriver = new Redriver(namespace.log, head.deadChannel, head);
    this.#parts = parts;
    this.#reader = new Reader(namespace, head.pattern, head.position, this);
  }

  /** Everything that matches up to here was taken in. */
  get through(): Offset {
    return this.#reader.through;
  }

  /** Whether there is something to take in, and room for it. */
  get canRead(): boolean {
    return this.hasRoom() && (this.#reader.isBehind || this.redriver.isRunning);
  }

  /** Takes in the next messages, as far as there is room. */
  async read(): Promise<void> {
    await this.#reader.read();
    if (this.hasRoom()) await this.redriver.read((messages) => this.#takeIn(messages, true));
  }

  /** Leaves out what it has not come to, up to an offset. */
  skip(through: Offset): void {
    this.#reader.skip(through);
  }

  /** Reads nothing until it is asked to again. */
  rest(): void {
    this.#reader.stop();
  }

  /** Notes how far the log was taken in: what is before the first that was never stored is settled, or in a page. */
  note(head: GroupHead): void {
    const { leases } = this.#parts;
    const before = (offset: Offset | undefined, through: Offset) => (offset === undefined ? through : offset - 1);
    head.position = Math.max(head.position, before(leases.firstFresh("messages"), this.through)) as Offset;
    head.redriven = before(leases.firstFresh("redriven"), this.redriver.through) as Offset;
    head.redrive = this.redriver.asOf(leases.freshCount("redriven"));
  }

  hasRoom(): boolean {
    const { leases, head, unsettledMax, isWanted } = this.#parts;
    const { items, line } = leases;
    // Where everything is in one order there is no use in looking past what waits.
    const ahead = head.policy.order === "all" ? items.size : line.ready;
    return isWanted() && ahead < readAheadMax && items.size < unsettledMax && !this.texts.full;
  }

  take(messages: Messages): void {
    this.#takeIn(messages, false);
  }

  lost(gap: Gap): void {
    this.#parts.lost(gap);
  }

  wake(): void {
    this.#parts.wake();
  }

  #takeIn(messages: Messages, redriven: boolean): void {
    const { leases, head } = this.#parts;
    for (let i = 0; i < messages.length; i++) {
      const offset = messages.offsets[i] as Offset;
      const text = textOf(messages, i);
      const item: Item = {
        offset,
        key: orderOf(head.policy.order, messages, i),
        bytes: text.length,
        expires: redriven ? undefined : expiryOf(messages, i),
        redriven,
        stage: "waiting",
        deliveries: 0,
        failures: 0,
        error: undefined,
        lease: undefined,
        due: 0,
        reason: undefined,
      };
      // Of those that wait behind others the text is not needed soon; of a redriven one it is another.
      if (leases.offer(item) && !redriven && !leases.line.blocks(item)) this.texts.keep(offset, text);
    }
  }
}
