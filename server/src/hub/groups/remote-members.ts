/** Members of groups here whose connections are on another hub, at the other end of a link. */

import { DogearError, dogearError, type ErrorCode } from "@dogear/shared";
import type { LeasedText } from "../../codec/codec.ts";
import type { Claimant } from "../claimant.ts";
import type { Link, LinkEnd } from "../links.ts";
import type { Port, Workplace } from "./port.ts";
import { type DeclaredThere, type MemberWord, type OwnerWord, readWord, writeWord } from "./words.ts";

/** Finds a group that this hub owns. */
export type FindHere = (declared: DeclaredThere) => Promise<Workplace>;

type Join = Extract<MemberWord, { say: "join" }>;

type Said = OwnerWord extends infer W ? (W extends OwnerWord ? Omit<W, "port"> : never) : never;

class RemotePort implements Port {
  readonly id: string;
  readonly by: Claimant | undefined;
  group: Workplace | undefined;
  readonly #say: (said: Said) => void;
  readonly #ended: () => void;

  constructor({ id, by }: Join, say: (said: Said) => void, ended: () => void) {
    this.id = id;
    this.by = by;
    this.#say = say;
    this.#ended = ended;
  }

  lease(leased: readonly LeasedText[]): void {
    this.#say({ say: "leased", leased });
  }

  settled(fences: readonly number[]): void {
    this.#say({ say: "settled", fences });
  }

  lost(fences: readonly number[]): void {
    this.#say({ say: "lost", fences });
  }

  end(code: ErrorCode): void {
    this.#ended();
    this.#say({ say: "ended", code });
  }
}

export class RemoteMembers implements LinkEnd {
  readonly #link: Link;
  readonly #find: FindHere;
  readonly #ports = new Map<string, RemotePort>();

  constructor(link: Link, find: FindHere) {
    this.#link = link;
    this.#find = find;
  }

  heard(words: Buffer): void {
    const word = readWord<MemberWord>(words);
    if (word.say === "join") return void this.#join(word);
    const port = this.#ports.get(word.port);
    if (port === undefined) return;
    const { group, id } = port;
    switch (word.say) {
      case "open":
        return group?.open(port, id, word.open);
      case "settle":
        return group?.settle(port, id, word.fences, word.settlement);
      case "leave":
        return void this.#leave(word.port, port, word.holding);
      case "detach":
        this.#ports.delete(word.port);
        return group?.detach(port, id);
    }
  }

  /** The members keep their leases until these run out, or they come back. */
  broken(): void {
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    for (const port of ports) port.group?.detach(port, port.id);
  }

  async #join(word: Join): Promise<void> {
    const { port: name, group, id, window, holding } = word;
    const say = (said: Said) => this.#link.say(writeWord({ port: name, ...said } as OwnerWord));
    const port = new RemotePort(word, say, () => this.#ports.delete(name));
    this.#ports.set(name, port);
    try {
      port.group = await this.#find(group);
      const joined = await port.group.join(port, id, window, holding);
      // Its connection, or the link, may be gone meanwhile.
      if (this.#ports.get(name) === port) say({ say: "joined", joined });
      else port.group.detach(port, id);
    } catch (error) {
      this.#ports.delete(name);
      const { code, message } = error instanceof DogearError ? error : dogearError("unavailable");
      say({ say: "refused", code, message });
    }
  }

  async #leave(name: string, port: RemotePort, holding: Parameters<Workplace["leave"]>[2]): Promise<void> {
    await port.group?.leave(port, port.id, holding);
    if (this.#ports.get(name) !== port) return;
    this.#ports.delete(name);
    this.#link.say(writeWord({ port: name, say: "left" }));
  }
}
