/** Waiting for what happens, instead of for time to pass. */

/** How long anything may keep a test waiting. */
const waitMs = 10_000;

/** What came, in order, and how to wait for more of it. */
export class Collected<T> {
  readonly items: T[] = [];
  #look: () => void = () => {};

  readonly add = (item: T): void => {
    this.items.push(item);
    this.#look();
  };

  /** Resolves with everything, once there is this much. */
  async reach(count: number): Promise<readonly T[]> {
    await this.#until(() => this.items.length >= count, `${count} of them`);
    return this.items;
  }

  /** Resolves with the first that passes, also one that came before. */
  async find(passes: (item: T) => boolean): Promise<T> {
    await this.#until(() => this.items.some(passes), `one with ${passes}`);
    return this.items.find(passes) as T;
  }

  #until(arrived: () => boolean, what: string): Promise<void> {
    // Made here, so that its stack leads to the test that waits.
    const failure = new Error();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#look = () => {};
        const last = JSON.stringify(this.items.slice(-3));
        failure.message = `Not ${what} within ${waitMs} ms, but ${this.items.length}; the last: ${last}`;
        reject(failure);
      }, waitMs);
      this.#look = () => {
        if (!arrived()) return;
        clearTimeout(timer);
        this.#look = () => {};
        resolve();
      };
      this.#look();
    });
  }
}

/** A door that those who come to it wait at until it is opened. */
export class Door {
  /** How many have come. */
  readonly arrivals: Collected<void> = new Collected();
  #open: () => void = () => {};
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  pass(): Promise<void> {
    this.arrivals.add();
    return this.#opened;
  }

  open(): void {
    this.#open();
  }
}

/** Resolves when something holds that nobody tells about: it is looked at in every turn of the event loop. */
export async function eventually(holds: () => boolean): Promise<void> {
  const failure = new Error(`It did not come to hold within ${waitMs} ms: ${holds}`);
  for (const since = Date.now(); !holds(); ) {
    if (Date.now() - since > waitMs) throw failure;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** How often it is looked whether something has come that nobody tells of. */
const lookEveryMs = 25;

/** Resolves with the first answer that is not nothing, and not "no". Where there is none, `what` says what there is instead. */
export async function until<T>(
  look: () => Promise<T>,
  what: string | (() => string),
  withinMs = 3 * waitMs,
): Promise<NonNullable<T>> {
  // Made here, so that its stack leads to the test that waits.
  const failure = new Error();
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  failure.message = `Not ${typeof what === "string" ? what : what()} within ${withinMs} ms.`;
  throw failure;
}
