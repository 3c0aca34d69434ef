/**
 * Which logs in memory hubs have open: the first one begins the log anew, those after it join. Of several that come at once
 * the one whose name comes first is the first, and the others wait for it.
 *
 *     asking ── nobody answers ──► opening ──► open
 *       ↑ └── another is opening ─┐   "it is open": join it
 *       └─────────────────────────┘
 */
import type { Clock } from "../../runtime/clock.ts";
import type { HubId, Peers } from "../engine.ts";

const askTopic = "memory-log.anyone";
const openTopic = "memory-log.here";
const openingTopic = "memory-log.opening";
/** How long others have to answer, and how long one that waits for another waits before it asks again. */
const answerMs = 500;

type Heard = "open" | "opening" | "nobody";

export class Openings {
  readonly #peers: Peers;
  readonly #clock: Clock;
  /** How far this hub is, by namespace. */
  readonly #stages = new Map<string, "asking" | "opening" | "open">();
  /** Those who wait to hear of a namespace. */
  readonly #asking = new Map<string, (heard: Heard) => void>();

  constructor(peers: Peers, clock: Clock) {
    this.#peers = peers;
    this.#clock = clock;
    const hear = (topic: string, call: (namespace: string, from: HubId) => void) => {
      peers.on(topic, (words, from) => void call(Buffer.from(words).toString(), from));
    };
    hear(askTopic, (namespace, from) => this.#answer(namespace, from));
    hear(openTopic, (namespace) => this.#asking.get(namespace)?.("open"));
    hear(openingTopic, (namespace) => this.#asking.get(namespace)?.("opening"));
  }

  /** Resolves with whether another hub has the log of a namespace open; where none has, this one is to open it. */
  async isOpenElsewhere(namespace: string): Promise<boolean> {
    this.#stages.set(namespace, "asking");
    let heard = await this.#ask(namespace);
    while (heard === "opening") heard = await this.#ask(namespace);
    this.#stages.set(namespace, "opening");
    return heard === "open";
  }

  /** It is open here. */
  add(namespace: string): void {
    this.#stages.set(namespace, "open");
  }

  /** It could not be opened here. */
  remove(namespace: string): void {
    this.#stages.delete(namespace);
  }

  #ask(namespace: string): Promise<Heard> {
    return new Promise((resolve) => {
      let heard: Heard = "nobody";
      const end = (answer: Heard) => {
        this.#asking.delete(namespace);
        cancel();
        resolve(answer);
      };
      const cancel = this.#clock.after(answerMs, () => end(heard));
      this.#asking.set(namespace, (said) => {
        if (said === "open") end(said);
        else heard = said;
      });
      this.#peers.tellAll(askTopic, Buffer.from(namespace));
    });
  }

  #answer(namespace: string, from: HubId): void {
    const stage = this.#stages.get(namespace);
    const words = Buffer.from(namespace);
    if (stage === "open") this.#peers.tell(from, openTopic, words);
    else if (stage === "opening" || (stage === "asking" && this.#peers.self < from)) {
      this.#peers.tell(from, openingTopic, words);
    } else if (stage === "asking") this.#asking.get(namespace)?.("opening");
  }
}
