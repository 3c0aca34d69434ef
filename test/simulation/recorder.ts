/** The history of a simulation: what everybody did and saw, in the order of virtual time. */
import { type Channel, type Epoch, isReserved, type Offset } from "@dogear/shared";
import { epochOf } from "../../server/src/engine/lineage.ts";
import type { MemoryLog } from "../../server/src/engine/memory/memory-log.ts";
import type { Content, Happened, HistoryEvent } from "../checker/history.ts";
import type { Disk, Written } from "./disk.ts";
import type { Machine } from "./machine.ts";
import type { Timeline } from "./timeline.ts";

export class Recorder {
  readonly history: HistoryEvent[] = [];
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Of a process that is dead nothing can be told. */
  tell(machine: Machine, happened: Happened): void {
    if (machine.alive) this.note(machine.name, happened);
  }

  note(process: string, happened: Happened): void {
    // No two at the same time, so that it is known which was first.
    const last = this.history.at(-1)?.at ?? 0;
    this.history.push({ process, at: Math.max(this.#timeline.now, last + 0.000_001), ...happened });
  }

  /** All that was ever written, and what retention has left of it. */
  async read(disk: Disk): Promise<void> {
    for (const written of disk.written) this.#read(disk, written);
    for (const [namespace, log] of disk.logs) {
      this.note("reader", { op: "read-bounds", kind: "ok", namespace, ...(await log.bounds()) });
    }
  }

  #read(disk: Disk, { namespace, offset, draft }: Written): void {
    const { channel, attributes } = draft;
    const { key, headers = {} } = JSON.parse(`{${attributes.slice(1)}}`) as Attributes;
    if (channel.includes(".$dead.")) {
      const group = headers["dogear-group"] as string;
      const about = Number(headers["dogear-offset"]) as Offset;
      const reason = headers["dogear-reason"] as string;
      this.note("reader", { op: "read-dead", kind: "ok", group, about, reason });
    } else if (!isReserved(channel)) {
      const data = JSON.parse(Buffer.from(draft.data).toString()) as Data;
      const content = contentOf(channel, data, key);
      this.note("reader", { op: "read", kind: "ok", key, epoch: epochIn(disk, namespace), offset, ...content });
    }
  }
}

interface Attributes {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What is published. */
export interface Data {
  readonly draft: string;
  readonly padding: string;
}

export function contentOf(channel: Channel, data: Data, key: string | undefined): Content {
  return { channel, draft: data.draft, payload: JSON.stringify([key ?? null, data]) };
}

function epochIn(disk: Disk, namespace: string): Epoch {
  return epochOf((disk.logs.get(namespace) as MemoryLog).lineage);
}
