/** Drafts on their way to the hub: no more than there is room for, and what became of them. */
import type { Offset, Published } from "@dogear/client";

/** Room for drafts that wait for their answer: twice what the client has in flight, so that it never has to wait. */
const draftsMax = 2_048;
const bytesMax = 16 * 1_024 * 1_024;

export class Drafts {
  taken = 0;
  /** How many of them the hub has confirmed. */
  published = 0;
  first: Offset | null = null;
  last: Offset | null = null;
  /** The first that the hub refused. */
  refused: { readonly line: number; readonly error: unknown } | undefined;
  #waiting = 0;
  #bytes = 0;
  #look: () => void = () => {};

  /** Takes one in, which is the draft of this line, and takes about as many bytes. */
  add(line: number, bytes: number, answer: Promise<Published>): void {
    this.taken++;
    this.#waiting++;
    this.#bytes += bytes;
    const settled = (): void => {
      this.#waiting--;
      this.#bytes -= bytes;
      this.#look();
    };
    answer.then(
      ({ offset }) => {
        this.published++;
        this.first ??= offset;
        this.last = offset;
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
