/** Members that leave, each when what it holds is settled. */
import type { Port } from "./port.ts";

interface Departure {
  readonly port: Port;
  readonly id: string;
  readonly resolve: () => void;
}

export class Departures {
  #all: readonly Departure[] = [];

  /** Resolves when the member has gone. */
  wait(port: Port, id: string): Promise<void> {
    return new Promise((resolve) => {
      this.#all = [...this.#all, { port, id, resolve }];
    });
  }

  /** Takes out those that may go now. */
  take(mayGo: (port: Port, id: string) => boolean): readonly Departure[] {
    const going = this.#all.filter(({ port, id }) => mayGo(port, id));
    if (going.length > 0) this.#all = this.#all.filter((departure) => !going.includes(departure));
    return going;
  }
}
