/** Several hubs on one engine in memory, under one clock that is moved by hand. */
import type { Channel, ErrorCode, Offset, Pattern } from "@dogear/shared";
import type { LeasedText } from "../../../server/src/codec/codec.ts";
import { silentMs } from "../../../server/src/engine/engine.ts";
import { MemoryEngine } from "../../../server/src/engine/memory/memory-engine.ts";
import type { Claimant } from "../../../server/src/hub/claimant.ts";
import type { Joined, Port, Workplace } from "../../../server/src/hub/groups/port.ts";
import type { Hub } from "../../../server/src/hub/hub.ts";
import { startIn } from "../../../server/src/hub/place.ts";
import { chance } from "../../support/clock.ts";
import { memoryHub, settled, VirtualClock } from "../support.ts";

type Options = Parameters<typeof memoryHub>[1];

/** One of several hubs. */
export interface Colleague {
  readonly hub: Hub;
  readonly engine: MemoryEngine;
}

export class Several {
  readonly clock = new VirtualClock();
  readonly #first = new MemoryEngine({ clock: this.clock, chance });
  #begun = false;
  readonly #options: Options;

  constructor(options: Options = {}) {
    this.#options = options;
  }

  async begin(): Promise<Colleague> {
    const engine = this.#begun ? this.#first.another() : this.#first;
    this.#begun = true;
    const { hub } = await memoryHub(this.clock, { ...this.#options, engine });
    return { hub, engine };
  }

  /** Nobody hears of a hub any more, nor it of them; time goes on until that is known. */
  async silence({ engine }: Colleague): Promise<void> {
    engine.silence(true);
    await this.clock.advance(2 * silentMs);
  }

  /** It stops as it should. */
  async stop({ hub, engine }: Colleague): Promise<void> {
    await hub.close();
    await engine.close();
    await this.clock.advance(1_000);
  }
}

export async function publish(hub: Hub, channel: string, ...payloads: unknown[]): Promise<readonly Offset[]> {
  const drafts = payloads.map((data) => ({
    channel: channel as Channel,
    attributes: "",
    data: Buffer.from(JSON.stringify(data)),
  }));
  const { answers } = await hub.publish(hub.namespace(channel as Channel), drafts);
  await settled();
  return answers.map((answer) => ("offset" in answer ? answer.offset : (0 as Offset)));
}

/** A member of the group `g` on `jobs.>`, and what it is told. */
export class TestMember implements Port {
  readonly leased = new Map<number, unknown>();
  readonly settledFences: number[] = [];
  readonly lostFences: number[] = [];
  readonly ends: ErrorCode[] = [];
  workplace: Workplace | undefined;
  readonly id: string;
  readonly by: Claimant | undefined;
  readonly #window: number;

  constructor(id: string, window = 10, connection?: number) {
    this.id = id;
    this.by = connection === undefined ? undefined : { client: "c", connection };
    this.#window = window;
  }

  /** Works at a hub, where it holds what is said. */
  async work(hub: Hub, holding: readonly number[] = []): Promise<Joined> {
    const pattern = "jobs.>" as Pattern;
    const namespace = hub.namespace(pattern);
    const start = async () => (await startIn(namespace.log, "earliest")).offset;
    const policy = { leaseMs: 60_000 };
    this.workplace = await hub.groups.declare({ namespace, name: "g", pattern, policy, may: () => true, start });
    const joined = await this.workplace.join(this, this.id, this.#window, holding as Offset[]);
    this.workplace.open(this, this.id, true);
    await settled();
    return joined;
  }

  /** Acknowledges everything it was leased. */
  async ack(): Promise<void> {
    this.workplace?.settle(this, this.id, [...this.leased.keys()], { outcome: "ack" });
    this.leased.clear();
    await settled();
  }

  lease(leased: readonly LeasedText[]): void {
    for (const { fence, text } of leased) this.leased.set(fence, JSON.parse(text.toString()).data);
  }

  settled(fences: readonly number[]): void {
    this.settledFences.push(...fences);
  }

  lost(fences: readonly number[]): void {
    this.lostFences.push(...fences);
  }

  end(code: ErrorCode): void {
    this.ends.push(code);
  }
}
