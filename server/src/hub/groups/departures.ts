/** Members that leave, each when what it holds is settled. */
import type { Port } from "./port.ts";

interface Departure {
  readonly port: Port;
  readonly id: string;
  readonly gone: Promise<void>;
  readonly resolve: () => void;
}

export class Departures {
  readonly #all = new Map<Port, Departure>();

  /** Resolves when the member has gone, however often it said that it would. */
  wait(port: Port, id: string): Promise<void> {
    const waiting = this.#all.get(port) ?? departureOf(port, id);
    this.#all.set(port, waiting);
    return waiting.gone;
  }

  /** Takes out those that may go now. */
  take(mayGo: (port: Port, id: string) => boolean): readonly Departure[] {
    const going = [...this.#all.values()].filter(({ port, id }) => mayGo(port, id));
    for (const { port } of going) this.#all.delete(port);
    return going;
  }
}

function departureOf(port: Port, id: string): Departure {
  let resolve = () => {};
  const gone = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { port, id, gone, resolve };
}
