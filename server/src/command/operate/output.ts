/** Standard output as fast as it is read, for as long as it is. */
import type { Shell } from "../command.ts";
import { CommandError } from "../usage.ts";

export class Output {
  /** Whether a person looks. */
  readonly terminal: boolean;
  /** How much fits into a line; nothing is too long for a file or a program. */
  readonly width: number;
  readonly #stdout: Shell["stdout"];

  constructor({ stdout }: Pick<Shell, "stdout">) {
    this.#stdout = stdout;
    this.terminal = stdout.isTTY ?? false;
    this.width = this.terminal ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  }

  /** Resolves when it was written, with whether anybody reads on. */
  write(text: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#stdout.write(text, (error) => {
        if (!error) resolve(true);
        else if (closed.has((error as NodeJS.ErrnoException).code)) resolve(false);
        else reject(new CommandError("internal", `Standard output cannot be written: ${error.message}.`));
      });
    });
  }
}

/** What writing to a pipe ends with when its reader has gone: first the one, then the other. */
const closed: ReadonlySet<string | undefined> = new Set(["EPIPE", "ERR_STREAM_DESTROYED"]);
