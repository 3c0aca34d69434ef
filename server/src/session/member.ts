/**
 * A session's membership in a group: brings what is leased to it to the client, and the client's settlements to the
 * group.
 */
import { type DogearError, dogearError, type ErrorCode, type Offset, type Pattern } from "@dogear/shared";
import type { LeasedText, Mistake } from "../codec/codec.ts";
import type { Claimant } from "../hub/claimant.ts";
import type { Settlement } from "../hub/groups/leases.ts";
import type { Joined, Port, Workplace } from "../hub/groups/port.ts";

/** What a member needs of its session. */
export interface MemberSession {
  readonly outbox: { readonly full: boolean };
  sendLeased(member: number, leased: readonly LeasedText[]): void;
  say(envelope: MemberSays): void;
  refuse(mistake: Mistake): void;
  /** Whether it has not ended. */
  isMember(member: Member): boolean;
  /** The group has ended the member. */
  endMember(member: Member, error: DogearError): void;
}

type MemberSays =
  | ({ readonly is: "working"; readonly member: number; readonly window: number } & Joined)
  | { readonly is: "settled"; readonly member: number; readonly fences: readonly number[] };

export interface MemberParts {
  readonly number: number;
  /** Tells it from every other member of the group, over any number of connections. */
  readonly id: string;
  readonly by: Claimant | undefined;
  readonly window: number;
  readonly session: MemberSession;
  readonly group: Workplace;
}

export class Member implements Port {
  readonly number: number;
  readonly #parts: MemberParts;
  #leaving = false;

  constructor(parts: MemberParts) {
    this.number = parts.number;
    this.#parts = parts;
  }

  get by(): Claimant | undefined {
    return this.#parts.by;
  }

  /** What the group works on. */
  get pattern(): Pattern {
    return this.#parts.group.pattern;
  }

  /** Joins the group; until `begin` nothing is leased to it. */
  join(holding: Parameters<Workplace["join"]>[3]): Promise<Joined> {
    const { group, id, window } = this.#parts;
    return group.join(this, id, window, holding);
  }

  begin(joined: Joined): void {
    const { session, window } = this.#parts;
    session.say({ is: "working", member: this.number, window, ...joined });
    this.drained();
  }

  settle(fences: readonly number[], settlement: Settlement): void {
    const { group, id } = this.#parts;
    group.settle(this, id, fences, settlement);
  }

  /** The connection has room again. */
  drained(): void {
    const { group, id, session } = this.#parts;
    if (!session.outbox.full) group.open(this, id, true);
  }

  /**
   * Gives back what it does not hold on to; resolves when the rest is settled and it has left, with `true`; with `false` at
   * once where it is leaving already.
   */
  async leave(holding: readonly Offset[]): Promise<boolean> {
    const left = this.#parts.group.leave(this, this.#parts.id, holding);
    if (this.#leaving) return false;
    this.#leaving = true;
    await left;
    return true;
  }

  /** The connection is gone. */
  detach(): void {
    this.#parts.group.detach(this, this.#parts.id);
  }

  lease(leased: readonly LeasedText[]): void {
    const { session, group, id } = this.#parts;
    session.sendLeased(this.number, leased);
    if (session.outbox.full) group.open(this, id, false);
  }

  settled(fences: readonly number[]): void {
    // After the client was told that it has ended, its number may be another member's.
    if (this.#parts.session.isMember(this)) this.#parts.session.say({ is: "settled", member: this.number, fences });
  }

  lost(fences: readonly number[]): void {
    const { session } = this.#parts;
    if (!session.isMember(this)) return;
    for (const fence of fences) session.refuse({ code: "lease-lost", member: this.number, fence });
  }

  end(code: ErrorCode): void {
    this.#parts.session.endMember(this, dogearError(code));
  }
}
