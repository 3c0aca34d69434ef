/**
 * Links between hubs: what one says to another arrives in order, all of it, or the link is broken and both know.
 *
 * Between peers words may be lost. So those of a link are numbered, and its ends say once a second how many they have
 * said: a hole, or silence, breaks it. What went over it is then taken up anew by whoever needs it.
 *
 *     {"link":"k2…","number":7}\n… words …
 */
import { type HubId, type Peers, silentMs } from "../engine/engine.ts";
import type { Chance, Clock } from "../runtime/clock.ts";

/** What hears the words of a link at one end. */
export interface LinkEnd {
  heard(words: Buffer): void;
  /** It is broken; nothing is heard or can be said any more. */
  broken(): void;
}

export interface Link {
  readonly hub: HubId;
  readonly isBroken: boolean;
  /** Says something. Over a broken link it is said to nobody. */
  say(words: Uint8Array): void;
}

export interface LinksParts {
  readonly peers: Peers;
  readonly clock: Clock;
  readonly chance: Chance;
  /** What hears the words of a link that another hub has begun. */
  readonly accept: (link: Link) => LinkEnd;
}

/** What goes before the words. */
interface Heading {
  readonly link: string;
  /** How many words were said over the link, these included. */
  readonly number: number;
  /** No words are said: it is still there; or it is broken. */
  readonly only: "beat" | "broken" | undefined;
  /** The end that began the link says it. */
  readonly first: boolean;
}

const topic = "link";
const beatMs = 1_000;
const newline = 0x0a;

class NumberedLink implements Link {
  readonly hub: HubId;
  readonly id: string;
  readonly first: boolean;
  end: LinkEnd | undefined;
  isBroken = false;
  heardLast: number;
  readonly #peers: Peers;
  #said = 0;
  #heard = 0;

  constructor(hub: HubId, id: string, first: boolean, { peers, clock }: LinksParts) {
    this.hub = hub;
    this.id = id;
    this.first = first;
    this.#peers = peers;
    this.heardLast = clock.monotonic();
  }

  say(words: Uint8Array): void {
    if (this.isBroken) return;
    this.#said++;
    this.#tell(undefined, words);
  }

  only(what: "beat" | "broken"): void {
    this.#tell(what, Buffer.alloc(0));
  }

  /** Whether what was heard is what had to come next. */
  follows({ number, only }: Heading): boolean {
    if (only !== undefined) return only === "beat" && number === this.#heard;
    this.#heard++;
    return number === this.#heard;
  }

  #tell(only: Heading["only"], words: Uint8Array): void {
    const heading: Heading = { link: this.id, number: this.#said, only, first: this.first };
    this.#peers.tell(this.hub, topic, Buffer.concat([Buffer.from(`${JSON.stringify(heading)}\n`), words]));
  }
}

export class Links {
  readonly #parts: LinksParts;
  /** By id. */
  readonly #links = new Map<string, NumberedLink>();
  #cancelBeat: (() => void) | undefined;

  constructor(parts: LinksParts) {
    this.#parts = parts;
    const { peers } = parts;
    peers.on(topic, (words, from) => {
      this.#hear(words, from);
      return undefined;
    });
    peers.onGone((hub) => {
      for (const link of this.#links.values()) if (link.hub === hub) this.#break(link);
    });
  }

  /** Begins a link to another hub. */
  begin(hub: HubId, end: LinkEnd): Link {
    const link = new NumberedLink(hub, this.#parts.chance.id(), true, this.#parts);
    this.#add(link, end);
    return link;
  }

  /** Breaks every link. */
  close(): void {
    for (const link of this.#links.values()) this.#break(link);
  }

  #add(link: NumberedLink, end: LinkEnd): void {
    link.end = end;
    this.#links.set(link.id, link);
    this.#cancelBeat ??= this.#parts.clock.after(beatMs, () => this.#beat());
  }

  #hear(words: Uint8Array, from: HubId): void {
    const bytes = Buffer.from(words.buffer, words.byteOffset, words.length);
    const headingEnd = bytes.indexOf(newline);
    const heading = JSON.parse(bytes.toString("utf8", 0, headingEnd)) as Heading;
    const link = this.#links.get(heading.link) ?? this.#accept(heading, from);
    if (link === undefined) return;
    link.heardLast = this.#parts.clock.monotonic();
    if (!link.follows(heading)) this.#break(link);
    else if (heading.only === undefined) this.#take(link, bytes.subarray(headingEnd + 1));
  }

  /** Words that an end cannot make sense of are as good as lost. */
  #take(link: NumberedLink, words: Buffer): void {
    try {
      link.end?.heard(words);
    } catch (error) {
      this.#break(link);
      throw error;
    }
  }

  /** The other end has begun a link, or goes on with one that is unknown here: then it is told that it is broken. */
  #accept({ link: id, number, only, first }: Heading, from: HubId): NumberedLink | undefined {
    const link = new NumberedLink(from, id, !first, this.#parts);
    if (first && only === undefined && number === 1) {
      this.#add(link, this.#parts.accept(link));
      return link;
    }
    if (only !== "broken") link.only("broken");
    return undefined;
  }

  #beat(): void {
    const now = this.#parts.clock.monotonic();
    for (const link of this.#links.values()) {
      if (now - link.heardLast >= silentMs) this.#break(link);
      else link.only("beat");
    }
    this.#cancelBeat = this.#links.size > 0 ? this.#parts.clock.after(beatMs, () => this.#beat()) : undefined;
  }

  #break(link: NumberedLink): void {
    if (link.isBroken) return;
    link.isBroken = true;
    this.#links.delete(link.id);
    link.only("broken");
    link.end?.broken();
  }
}
