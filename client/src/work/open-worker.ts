/** A worker as its user holds it, from before the code that does its work has been loaded. */
import type { GroupPolicy } from "@dogear/shared";
import { Engagement } from "../engagement.ts";
import type { LeasedMessage, Worker, WorkerEvents } from "../worker.ts";

/** What does a worker's work, once it has been loaded. */
export interface Labour {
  leave(signal: AbortSignal | undefined): Promise<void>;
  messages(): AsyncIterable<LeasedMessage>;
}

export class OpenWorker extends Engagement<WorkerEvents, GroupPolicy> implements Worker {
  readonly group: string;
  state: Worker["state"] = "joining";
  declare policy: GroupPolicy | undefined;
  inFlight = 0;
  declare member: Labour | undefined;

  constructor(pattern: string, group: string, report: (error: unknown) => void) {
    super(pattern, report);
    this.group = group;
  }

  async leave({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.member) await this.member.leave(signal);
    else this.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LeasedMessage, void, undefined> {
    const { ended } = this;
    await this.ready().catch(() => ended);
    if (this.member) yield* this.member.messages();
  }

  /** Ends it, if it has not ended yet. */
  end(error?: unknown): void {
    if (this.state === "ended") return;
    this.state = "ended";
    this.over(error);
  }
}
