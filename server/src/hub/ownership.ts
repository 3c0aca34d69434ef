/**
 * Which of several hubs sees to what: a record for each thing says which hub owns it.
 *
 *     owner/group/orders/billing   { "hub": "k2…", "about": "orders.>" }
 *
 * Whoever finds the owner gone takes over by compare-and-set, so one hub wins. An owner that stood still may not know yet
 * that it was replaced. So owning alone makes nothing happen: whoever takes something over first writes to the ledger of
 * it (`Ledger.load`), and from then on the one before can store nothing there.
 *
 * Every hub watches all records: they are few, and change when hubs come and go.
 */
import { dogearError } from "@dogear/shared";
import type { Changed, HubId, Peers, State } from "../engine/engine.ts";
import { keepWatching } from "../engine/keep-watching.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";

export interface OwnershipParts {
  readonly state: State;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is known of a thing that is, or was, owned. */
export interface Owned {
  /** `undefined`: its owner let go of it. */
  readonly hub: HubId | undefined;
  /** What its first owner said of it. */
  readonly about: string;
}

interface Known extends Owned {
  readonly version: number;
}

const prefix = "owner/";

/** Tries to take over what other hubs take over at the same time. */
const triesMax = 10;

export class Ownership {
  readonly #parts: OwnershipParts;
  readonly #known = new Map<string, Known>();
  /** What this hub owns, as far as it knows. */
  readonly #mine = new Set<string>();
  readonly #listeners: ((what: string) => void)[] = [];
  readonly #stop = new AbortController();

  static async open(parts: OwnershipParts): Promise<Ownership> {
    const ownership = new Ownership(parts);
    for (const entry of await parts.state.list(prefix, "", Number.MAX_SAFE_INTEGER)) ownership.#learn(entry);
    void keepWatching(prefix, parts, ownership.#stop.signal, (change) => ownership.#hear(change));
    return ownership;
  }

  private constructor(parts: OwnershipParts) {
    this.#parts = parts;
  }

  /** Everything that is or was owned whose name begins so, ordered by name. */
  list(begin: string): readonly (Owned & { readonly what: string })[] {
    return [...this.#known]
      .filter(([what]) => what.startsWith(begin))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, { hub, about }]) => ({ what, hub, about }));
  }

  isMine(what: string): boolean {
    return this.#mine.has(what);
  }

  /** Whether nobody sees to it: it has no owner, or one that is gone, such as this hub before it was opened. */
  isFree(what: string): boolean {
    const { peers } = this.#parts;
    const hub = this.#known.get(what)?.hub;
    return hub === undefined || (hub === peers.self ? !this.#mine.has(what) : !peers.isThere(hub));
  }

  /** Adds one who is told when something is not this hub's any more, because another has taken it over. */
  onLost(listener: (what: string) => void): void {
    this.#listeners.push(listener);
  }

  /** How a thing stands; `undefined` where nobody ever owned it. */
  async find(what: string): Promise<Owned | undefined> {
    const entry = await this.#parts.state.get(prefix + what);
    this.#learn({ key: prefix + what, value: entry?.value, version: entry?.version ?? 0 });
    return this.#known.get(what);
  }

  /**
   * Makes this hub the owner, unless another one is that is there. Resolves with who it is then.
   *
   * @throws DogearError `unavailable`
   */
  async claim(what: string, about = ""): Promise<HubId> {
    const { state, peers } = this.#parts;
    for (let tries = 0; tries < triesMax; tries++) {
      await this.find(what);
      const known = this.#known.get(what);
      if (known?.hub !== undefined && known.hub !== peers.self && peers.isThere(known.hub)) return known.hub;
      if (known?.hub !== peers.self) {
        const owned = { hub: peers.self, about: known?.about ?? about };
        const version = await state.put(prefix + what, encode(owned), known?.version ?? 0);
        // Where the answer came late, another hub may have taken it over since.
        if (version === undefined || version < (this.#known.get(what)?.version ?? 0)) continue;
        this.#known.set(what, { ...owned, version });
      }
      this.#mine.add(what);
      return peers.self;
    }
    throw dogearError("unavailable", `Who sees to ${what} changes all the time.`);
  }

  /** Lets go of something, so that another hub may take it over at once. */
  async release(what: string): Promise<void> {
    if (!this.#mine.delete(what)) return;
    const { about = "", version = 0 } = this.#known.get(what) ?? {};
    const released = await this.#parts.state.put(prefix + what, encode({ hub: undefined, about }), version);
    if (released !== undefined) this.#known.set(what, { hub: undefined, about, version: released });
  }

  /** Something is no more: nobody owns it, unless another hub does that is there. */
  async forget(what: string): Promise<void> {
    // An earlier try may have failed, so what is stored decides.
    await this.find(what);
    const known = this.#known.get(what);
    if (known === undefined || !(this.isMine(what) || this.isFree(what))) return;
    this.#mine.delete(what);
    await this.#parts.state.putAll([{ key: prefix + what, value: undefined, version: known.version }]);
    if (this.#known.get(what) === known) this.#known.delete(what);
  }

  /** Learns of nothing any more. */
  close(): void {
    this.#stop.abort();
  }

  /** That a record is gone may be old news: it says not which version it had. So it is looked whether there is another. */
  #hear(change: Changed): void {
    if (change.value === undefined) void this.find(change.key.slice(prefix.length)).catch(() => {});
    else this.#learn(change);
  }

  #learn({ key, value, version }: Changed): void {
    const what = key.slice(prefix.length);
    const known = this.#known.get(what);
    // What a watch tells may be older than what was found since.
    if (value !== undefined && known !== undefined && version < known.version) return;
    if (value === undefined) this.#known.delete(what);
    else this.#known.set(what, { ...decode(value), version });
    if (this.#known.get(what)?.hub === this.#parts.peers.self || !this.#mine.delete(what)) return;
    for (const listener of this.#listeners) listener(what);
  }
}

function encode({ hub, about }: Owned): Uint8Array {
  return Buffer.from(JSON.stringify({ hub, about }));
}

function decode(value: Uint8Array): Owned {
  const { hub, about } = JSON.parse(Buffer.from(value).toString()) as { hub?: HubId; about: string };
  return { hub, about };
}
