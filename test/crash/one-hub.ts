/** A hub that is killed and started again, with the data it had and where it was. */
import { join } from "node:path";
import { type HubProcess, startHubProcess } from "../support/hub-process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { hubConfig } from "./load.ts";

export class OneHub {
  readonly #data: string;
  readonly #ended: HubProcess[] = [];
  #hub: HubProcess;

  static async start(): Promise<OneHub> {
    const data = join(temporaryFolder(), "data");
    return new OneHub(data, await startHubProcess({ data, config: hubConfig }));
  }

  private constructor(data: string, hub: HubProcess) {
    this.#data = data;
    this.#hub = hub;
  }

  get url(): string {
    return this.#hub.url;
  }

  /** What it logged as errors and warnings, in all of its lives. */
  get complaints(): string[] {
    return [...this.#ended, this.#hub].flatMap((hub) => complaintsOf(hub));
  }

  /** Ends it and starts its successor; resolves when that listens. */
  async restart(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await this.#hub.kill(signal);
    this.#ended.push(this.#hub);
    this.#hub = await startHubProcess({ data: this.#data, port: this.#hub.port, config: hubConfig });
  }
}

function complaintsOf({ process }: HubProcess): string[] {
  return process.stderr.split("\n").filter((line) => /"level":"(error|warn)"(?!.*"access\.none")/.test(line));
}
