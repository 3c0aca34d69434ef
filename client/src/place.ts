/**
 * Where one subscription is in the log, as three marks:
 *
 *     ── finished ───────── received ───────── sent ──►
 *        handled, and       arrived; what      by the hub in this session. It may send again what had
 *        so acknowledged    arrives again      arrived before, so this mark can also be behind; and
 *                           is dropped (G8)    nothing beyond it may be acknowledged (P-39)
 *
 * Offsets of two epochs cannot be compared, so a mark is a position.
 */
import { beginning, type Messages, type Offset, type Position } from "@dogear/shared";

export class Place {
  #received: Position | undefined;
  #finished: Position | undefined;
  #sent = -1;
  #before = beginning;

  /** Everything through here has arrived; undefined until the hub confirmed the subscription once. */
  get received(): Position | undefined {
    return this.#received;
  }

  /** Everything through here has been handled. */
  get finished(): Position | undefined {
    return this.#finished;
  }

  /** What earlier sessions had received of this epoch. */
  get before(): Offset {
    return this.#before;
  }

  /** How far the hub may be told that all is handled; -1 is not at all. */
  get due(): number {
    const finished = this.#finished;
    return finished && finished.epoch === this.#received?.epoch ? Math.min(finished.offset, this.#sent) : -1;
  }

  /** The hub confirmed the subscription, or goes on after a gap: it will send what follows this position. */
  confirm(position: Position): void {
    this.#sent = position.offset;
    // A new epoch may hold other messages under offsets seen in the old one, so nothing of it counts as seen.
    const known = this.#received?.epoch === position.epoch ? this.#received : undefined;
    this.#before = known?.offset ?? beginning;
    if (this.#before <= position.offset) this.#received = position;
  }

  /** The session is over. */
  lost(): void {
    this.#sent = -1;
  }

  /** Takes in what the hub sent; returns how many of its messages, from the first, had arrived before. */
  receive({ through, messages }: Messages): number {
    const { epoch, offset } = this.#received as Position;
    let known = 0;
    for (const message of messages) {
      if (message.offset > offset) break;
      known++;
    }
    if (through > offset) this.#received = { epoch, offset: through };
    if (through > this.#sent) this.#sent = through;
    return known;
  }

  /**
   * Everything up to here is handled; without a position, up to where all has arrived, whether it matched or not.
   * Returns whether this is news; a message acknowledged late does not move the mark back.
   */
  finish(position = this.#received as Position): boolean {
    const finished = this.#finished;
    const forward =
      finished?.epoch === position.epoch
        ? position.offset > finished.offset
        : finished?.epoch !== this.#received?.epoch;
    if (forward) this.#finished = { epoch: position.epoch, offset: position.offset };
    return forward;
  }
}
