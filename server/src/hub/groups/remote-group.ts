/**
 * A group that another hub owns, as the connections here see it. What they say goes over one link to that hub. When it
 * breaks they end as `unavailable`: their clients ask again, and find whoever owns the group then.
 */
import { DogearError, dogearError, type Offset, type Pattern } from "@dogear/shared";
import type { HubId } from "../../engine/engine.ts";
import type { Link, LinkEnd, Links } from "../links.ts";
import type { Settlement } from "./leases.ts";
import type { Joined, Port, Workplace } from "./port.ts";
import { type DeclaredThere, type MemberWord, type OwnerWord, readWord, writeWord } from "./words.ts";

/** A member's connection, and what it waits for. */
interface Connected {
  readonly name: string;
  readonly port: Port;
  joining: { readonly resolve: (joined: Joined) => void; readonly reject: (error: DogearError) => void } | undefined;
  left: (() => void) | undefined;
}

type Said = MemberWord extends infer W ? (W extends MemberWord ? Omit<W, "port"> : never) : never;

/** The hub that owns some groups. */
class Owner implements LinkEnd {
  readonly #link: Link;
  readonly #byName = new Map<string, Connected>();
  readonly #byPort = new Map<Port, Connected>();
  #names = 0;

  constructor(hub: HubId, links: Links) {
    this.#link = links.begin(hub, this);
  }

  get isBroken(): boolean {
    return this.#link.isBroken;
  }

  join(port: Port, said: Extract<Said, { say: "join" }>): Promise<Joined> {
    return new Promise((resolve, reject) => {
      const connected: Connected = { name: `${++this.#names}`, port, joining: { resolve, reject }, left: undefined };
      this.#byName.set(connected.name, connected);
      this.#byPort.set(port, connected);
      this.say(port, said);
      if (this.isBroken) this.broken();
    });
  }

  say(port: Port, said: Said): void {
    const name = this.#byPort.get(port)?.name;
    if (name !== undefined) this.#link.say(writeWord({ port: name, ...said } as MemberWord));
  }

  leave(port: Port, holding: readonly Offset[]): Promise<void> {
    return new Promise((resolve) => {
      const connected = this.#byPort.get(port);
      if (connected === undefined) return resolve();
      const before = connected.left;
      connected.left = () => {
        before?.();
        resolve();
      };
      this.say(port, { say: "leave", holding });
    });
  }

  forget(port: Port): void {
    const connected = this.#byPort.get(port);
    if (connected === undefined) return;
    this.#byPort.delete(port);
    this.#byName.delete(connected.name);
    connected.joining?.reject(dogearError("unavailable"));
    connected.left?.();
  }

  heard(words: Buffer): void {
    const word = readWord<OwnerWord>(words);
    const connected = this.#byName.get(word.port);
    if (connected === undefined) return;
    const { port, joining } = connected;
    switch (word.say) {
      case "joined":
        connected.joining = undefined;
        return joining?.resolve(word.joined);
      case "refused":
        connected.joining = undefined;
        joining?.reject(new DogearError(word.code, word.message));
        return this.forget(port);
      case "leased":
        return port.lease(word.leased);
      case "settled":
        return port.settled(word.fences);
      case "lost":
        return port.lost(word.fences);
      case "left":
        return this.forget(port);
      case "ended":
        this.forget(port);
        return port.end(word.code);
    }
  }

  broken(): void {
    for (const { port, joining } of [...this.#byName.values()]) {
      this.forget(port);
      if (joining === undefined) port.end("unavailable");
    }
  }
}

class RemoteGroup implements Workplace {
  readonly #owner: Owner;
  readonly #declared: DeclaredThere;

  constructor(owner: Owner, declared: DeclaredThere) {
    this.#owner = owner;
    this.#declared = declared;
  }

  get pattern(): Pattern {
    return this.#declared.pattern;
  }

  join(port: Port, id: string, window: number, holding: readonly Offset[]): Promise<Joined> {
    return this.#owner.join(port, {
      say: "join",
      group: this.#declared,
      id,
      by: port.by,
      window,
      holding,
    });
  }

  open(port: Port, _id: string, open: boolean): void {
    this.#owner.say(port, { say: "open", open });
  }

  settle(port: Port, _id: string, fences: readonly number[], settlement: Settlement): void {
    this.#owner.say(port, { say: "settle", fences, settlement });
  }

  leave(port: Port, _id: string, holding: readonly Offset[]): Promise<void> {
    return this.#owner.leave(port, holding);
  }

  detach(port: Port): void {
    this.#owner.say(port, { say: "detach" });
    this.#owner.forget(port);
  }
}

/** All groups that other hubs own. */
export class RemoteGroups {
  readonly #links: Links;
  readonly #owners = new Map<HubId, Owner>();

  constructor(links: Links) {
    this.#links = links;
  }

  at(hub: HubId, declared: DeclaredThere): Workplace {
    let owner = this.#owners.get(hub);
    if (owner === undefined || owner.isBroken) {
      for (const [other, { isBroken }] of this.#owners) if (isBroken) this.#owners.delete(other);
      owner = new Owner(hub, this.#links);
      this.#owners.set(hub, owner);
    }
    return new RemoteGroup(owner, declared);
  }
}
