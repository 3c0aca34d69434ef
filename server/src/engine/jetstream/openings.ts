/** Which logs in memory hubs have open: the first one begins the log anew, those after it join. */
import type { Clock } from "../../runtime/clock.ts";
import type { Peers } from "../engine.ts";

const askTopic = "memory-log.anyone";
const answerTopic = "memory-log.here";
/** How long others have to answer. */
const answerMs = 500;

export class Openings {
  readonly #peers: Peers;
  readonly #clock: Clock;
  readonly #open = new Set<string>();
  /** Those who wait to hear of a namespace. */
  readonly #asking = new Map<string, () => void>();

  constructor(peers: Peers, clock: Clock) {
    this.#peers = peers;
    this.#clock = clock;
    peers.on(askTopic, (words, from) => {
      if (this.#open.has(textOf(words))) peers.tell(from, answerTopic, words);
      return undefined;
    });
    peers.on(answerTopic, (words) => {
      this.#asking.get(textOf(words))?.();
      return undefined;
    });
  }

  add(namespace: string): void {
    this.#open.add(namespace);
  }

  isOpenElsewhere(namespace: string): Promise<boolean> {
    return new Promise((resolve) => {
      const answer = (isOpen: boolean) => {
        this.#asking.delete(namespace);
        cancel();
        resolve(isOpen);
      };
      const cancel = this.#clock.after(answerMs, () => answer(false));
      this.#asking.set(namespace, () => answer(true));
      this.#peers.tellAll(askTopic, Buffer.from(namespace));
    });
  }
}

function textOf(words: Uint8Array): string {
  return Buffer.from(words).toString();
}
