/** Drafts on their way to the hub: no more than there is room for, and what became of them. */
import type { Published, Scheduled } from "@dogear/client";

/** Room for drafts that wait for their answer: twice what the client has in flight, so that it never has to wait. */
const draftsMax = 2_048;
const bytesMax = 16 * 1_024 * 1_024;

export class Drafts {
  taken = 0;
  /** How many of them the hub has confirmed, and how it answered the first and the last. */
  confirmed = 0;
  first: Published | Scheduled | undefined;
  last: Published | Scheduled | undefined;
  /** The first that the hub refused. */
  refused: { readonly line: number; readonly error: unknown } | undefined;
  #waiting = 0;
  #bytes = 0;
  #look: () => void = () => {};

  /** Takes one in, which is the draft of this line, and takes about as many bytes. */
  add(line: number, bytes: number, answer: Promise<Published | Scheduled>): void {
    this.taken++;
    this.#waiting++;
    this.#bytes += bytes;
    const settled = (): void => {
      this.#waiting--;
      this.#bytes -= bytes;
      this.#look();
    };
    answer.then(
      (answered) => {
        this.confirmed++;
        this.first ??= answered;
        this.last = answered;
        settled();
      },
      (error: unknown) => {
        this.refused ??= { line, error };
        settled();
      },
    );
  }

  get full(): boolean {
    return this.#waiting >= draftsMax || this.#bytes >= bytesMax;
  }

  /** Waits until there is room again. */
  room(): Promise<void> {
    return this.#until(() => !this.full);
  }

  /** Waits until all are answered. */
  answered(): Promise<void> {
    return this.#until(() => this.#waiting === 0);
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (condition()) resolve();
      };
      this.#look();
    });
  }
}
