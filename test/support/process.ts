/** Child processes for tests: started, watched by what they print, and never left behind. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { whenDone } from "./temp.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Who ends it at last, where that is not whoever starts it. */
  readonly whenDone?: typeof whenDone;
}

/** How long a line may keep a test waiting. */
const lineTimeoutMs = 20_000;

/** Starts a script in a Node process. */
export function startScript(script: string, args: readonly string[] = [], options: StartOptions = {}): ChildProcess {
  return new ChildProcess(process.execPath, [script, ...args], options);
}

/** A command in a process group of its own, so that what it starts itself ends with it. */
export class ChildProcess {
  /** What it has printed so far. */
  stdout = "";
  stderr = "";
  /** How it ended, once all it printed is here. */
  readonly exited: Promise<Exit>;

  readonly #group: number | undefined;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<() => void>();
  #ended = false;

  constructor(
    command: string,
    args: readonly string[],
    { whenDone: cleanUp = whenDone, ...options }: StartOptions = {},
  ) {
    const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#group = child.pid;
    this.#collect(child.stdout, (text) => {
      this.stdout += text;
    });
    this.#collect(child.stderr, (text) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => {
      child.on("error", (error) => {
        this.stderr += `${error}\n`;
      });
      child.on("close", (code, signal) => {
        this.#ended = true;
        this.#notify();
        resolve({ code, signal });
      });
    });
    cleanUp(async () => {
      await this.kill();
    });
  }

  get pid(): number | undefined {
    return this.#group;
  }

  /** The first line on either stream that matches, also one printed before the call. Fails when none can come. */
  untilLine(pattern: RegExp): Promise<RegExpMatchArray> {
    // Made here, so that its stack leads to the test that waits.
    const failure = new Error();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle();
      };
      const fail = (when: string) => {
        failure.message = `No line matched ${pattern} ${when}.\n${this.stdout}${this.stderr}`;
        finish(() => reject(failure));
      };
      const look = () => {
        const match = this.#lines.find((line) => pattern.test(line))?.match(pattern);
        if (match) finish(() => resolve(match));
        else if (this.#ended) fail("before the process ended");
      };
      const timer = setTimeout(fail, lineTimeoutMs, `within ${lineTimeoutMs} ms`);
      this.#watchers.add(look);
      look();
    });
  }

  /** Sends a signal that does not end it: to freeze it, or to let it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.#group !== undefined && !this.#ended) signalGroup(this.#group, signal);
  }

  /** Sends a signal and waits for the end. */
  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    if (this.#group !== undefined && !this.#ended) signalGroup(this.#group, signal);
    return this.exited;
  }

  #collect(stream: Readable, append: (text: string) => void): void {
    stream.setEncoding("utf8").on("data", append);
    createInterface({ input: stream }).on("line", (line) => {
      this.#lines.push(line);
      this.#notify();
    });
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    // The group is gone, and only its last output is still on the way here.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
