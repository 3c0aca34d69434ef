/** A group's members: what each holds, and whose turn it is. */
import type { Item } from "./item.ts";

export interface Member {
  readonly id: string;
  window: number;
  /** What is leased to it, by fence. */
  readonly held: Map<number, Item>;
  /** It has a connection. Without one it keeps its leases and gets no more. */
  attached: boolean;
  /** Its connection takes more. */
  open: boolean;
}

export class Members {
  readonly #all = new Map<string, Member>();
  /** Those with room, the one whose turn is next first. */
  readonly #free = new Set<Member>();
  /** Where one member gets everything, the one that does. */
  #favourite: Member | undefined;
  readonly #sticky: boolean;

  /** `sticky`: one gets everything as long as it has room, and the others stand by. */
  constructor(sticky: boolean) {
    this.#sticky = sticky;
  }

  /** Those that have a connection. */
  attached(): readonly Member[] {
    return [...this.#all.values()].filter(({ attached }) => attached);
  }

  get(id: string): Member | undefined {
    return this.#all.get(id);
  }

  /** The member of this name, attached to a connection from now on. `open`: it takes messages at once. */
  attach(id: string, window: number, open: boolean): Member {
    const member = this.remember(id);
    member.window = window;
    member.attached = true;
    member.open = open;
    this.changed(member);
    return member;
  }

  /** The member of this name, attached or not. */
  remember(id: string): Member {
    const member = this.#all.get(id) ?? { id, window: 0, held: new Map(), attached: false, open: false };
    this.#all.set(id, member);
    return member;
  }

  detach(member: Member): void {
    member.attached = false;
    this.changed(member);
  }

  /** What a member holds, or whether it takes more, has changed. */
  changed(member: Member): void {
    if (!member.attached && member.held.size === 0) this.#all.delete(member.id);
    if (!hasRoom(member)) {
      this.#free.delete(member);
      if (!member.attached && this.#favourite === member) this.#favourite = undefined;
    } else {
      // One that is there already keeps its turn.
      this.#free.add(member);
    }
  }

  /** Whose turn it is; `undefined` where none has room. */
  next(): Member | undefined {
    if (this.#sticky && this.#favourite !== undefined && this.#free.has(this.#favourite)) return this.#favourite;
    const [first] = this.#free;
    return first;
  }

  /** A member has had its turn. */
  served(member: Member): void {
    this.#favourite = member;
    this.#free.delete(member);
    this.changed(member);
  }
}

function hasRoom({ attached, open, held, window }: Member): boolean {
  return attached && open && held.size < window;
}
