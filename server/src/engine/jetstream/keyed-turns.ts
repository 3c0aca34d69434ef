/** Work that names what it works on: what shares a name is done one after the other, in the order it came. */
export class KeyedTurns {
  /** Resolves when all that was handed in for a name is done. */
  readonly #last = new Map<string, Promise<void>>();

  async take<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = names.map((name) => this.#last.get(name));
    let end = () => {};
    const turn = new Promise<void>((resolve) => {
      end = resolve;
    });
    for (const name of names) this.#last.set(name, turn);
    await Promise.all(before);
    try {
      return await work();
    } finally {
      for (const name of names) if (this.#last.get(name) === turn) this.#last.delete(name);
      end();
    }
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
