/** The history of a simulation: what everybody did and saw, in the order of virtual time. */
import { type Channel, type Epoch, isReserved, type Offset } from "@dogear/shared";
import { epochOf } from "../../server/src/engine/lineage.ts";
import type { MemoryLog } from "../../server/src/engine/memory/memory-log.ts";
import type { Content, Happened, HistoryEvent } from "../checker/history.ts";
import type { Disk, Written } from "./disk.ts";
import type { Machine } from "./machine.ts";
import type { Timeline, Watch } from "./timeline.ts";

export class Recorder {
  readonly history: HistoryEvent[] = [];
  readonly #timeline: Timeline;
  readonly #watch: Watch;

  constructor(timeline: Timeline, watch: Watch) {
    this.#timeline = timeline;
    this.#watch = watch;
  }

  /** Of a process that is dead nothing can be told. */
  tell(machine: Machine, happened: Happened): void {
    if (machine.alive) this.note(machine.name, happened);
  }

  note(process: string, happened: Happened): void {
    // No two at the same time, so that it is known which was first.
    const last = this.history.at(-1)?.at ?? 0;
    this.history.push({ process, at: Math.max(this.#timeline.now, last + 0.000_001), ...happened });
    this.#watch(() => `${process} ${JSON.stringify(happened)}`);
  }
}

/** The final read: all that was ever written, and what retention has left of it. */
export async function readAll(disk: Disk, at: number): Promise<HistoryEvent[]> {
  const found = disk.written.flatMap((written) => messageOf(disk, written));
  for (const [namespace, log] of disk.logs)
    found.push({ op: "read-bounds", kind: "ok", namespace, ...(await log.bounds()) });
  return found.map((happened) => ({ process: "reader", at, ...happened }));
}

function messageOf(disk: Disk, { namespace, offset, draft }: Written): Happened[] {
  const { channel, attributes } = draft;
  const { key, headers = {} } = JSON.parse(`{${attributes.slice(1)}}`) as Attributes;
  if (channel.includes(".$dead.")) {
    const group = headers["dogear-group"] as string;
    const about = Number(headers["dogear-offset"]) as Offset;
    return [{ op: "read-dead", kind: "ok", group, about, reason: headers["dogear-reason"] as string }];
  }
  if (isReserved(channel)) return [];
  const content = contentOf(channel, JSON.parse(Buffer.from(draft.data).toString()) as Data, key);
  return [{ op: "read", kind: "ok", key, epoch: epochIn(disk, namespace), offset, ...content }];
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
