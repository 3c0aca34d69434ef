/** Windows, acknowledgements, slow reading and publishing in any order: everything arrives, once, and nothing stalls. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryHub, VirtualClock } from "../hub/support.ts";
import { Client, publish } from "./support.ts";

const channels = ["a.x", "a.y", "b"];

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ publish: fc.array(fc.tuple(fc.nat(2), fc.nat(400)), { minLength: 1, maxLength: 9 }) }),
  },
  { weight: 4, arbitrary: fc.record({ ack: fc.double({ min: 0, max: 1, noNaN: true }), of: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.constant({ reads: true }) },
  { weight: 1, arbitrary: fc.constant({ reads: false }) },
  { weight: 1, arbitrary: fc.constant({ beat: true }) },
);

interface Wish {
  readonly pattern: string;
  readonly messages: number;
  readonly bytes: number;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  pattern: fc.constantFrom("a.x", "a.*", ">"),
  messages: fc.integer({ min: 1, max: 7 }),
  bytes: fc.constantFrom(1, 300, 1_000, 100_000),
});

/** One of a session's subscriptions, as its client sees it. */
class View {
  readonly wish: Wish;
  live = false;
  through = 0;
  acknowledged = 0;
  readonly got: { readonly offset: number; readonly n: number }[] = [];

  constructor(asked: Wish) {
    this.wish = asked;
  }

  get unacknowledged(): number {
    return this.got.filter(({ offset }) => offset > this.acknowledged).length;
  }
}

describe("subscriptions of one session, whatever happens", () => {
  it("each get what matches in order and once, within their windows, and never stall (P-36, P-37, P-38)", async () => {
    const wishes = fc.array(wish, { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(wishes, fc.array(step, { maxLength: 40 }), async (asked, steps) => {
        const run = await Run.start(asked);
        for (const one of steps) await run.step(one);
        await run.finish();
      }),
      { numRuns: 80 },
    );
  });
});

class Run {
  readonly #clock: VirtualClock;
  readonly #client: Client;
  readonly #publisher: Client;
  readonly #views: readonly View[];
  readonly #published: { readonly channel: string; readonly n: number }[] = [];
  #heard = 0;

  private constructor(clock: VirtualClock, client: Client, publisher: Client, views: readonly View[]) {
    this.#clock = clock;
    this.#client = client;
    this.#publisher = publisher;
    this.#views = views;
  }

  static async start(asked: readonly Wish[]): Promise<Run> {
    const clock = new VirtualClock();
    const { hub } = await memoryHub(clock);
    const client = await Client.greet(
      hub,
      clock,
      {},
      { outboxBytesMax: 2_000, heartbeatMs: 1_000, heartbeatGraceMs: 1e9 },
    );
    const publisher = await Client.greet(hub, clock);
    const views = asked.map((one) => new View(one));
    await client.say(
      ...views.map(({ wish: { pattern, messages, bytes } }, i) => ({
        is: "subscribe",
        subscription: i + 1,
        pattern,
        window: { messages, bytes },
      })),
    );
    return new Run(clock, client, publisher, views);
  }

  async step(one: {
    publish?: [number, number][];
    ack?: number;
    of?: number;
    reads?: boolean;
    beat?: boolean;
  }): Promise<void> {
    if (one.publish !== undefined) {
      const drafts = one.publish.map(([channel, size]) => {
        const n = this.#published.length + 1;
        this.#published.push({ channel: channels[channel] as string, n });
        return publish(n, { channel: channels[channel], data: { n, text: "x".repeat(size) } });
      });
      await this.#publisher.say(...drafts);
    }
    if (one.reads === true) await this.#client.read();
    if (one.reads === false) this.#client.socket.reading = false;
    if (one.beat === true) await this.#clock.advance(1_000);
    this.#look();
    if (one.ack !== undefined) await this.#acknowledge((one.of ?? 0) + 1, one.ack);
    this.#look();
  }

  /** Reads and acknowledges everything until nothing more comes. */
  async finish(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      const before = this.#heard;
      await this.#client.read();
      this.#look();
      for (const i of this.#views.keys()) await this.#acknowledge(i + 1, 1);
      this.#look();
      if (this.#heard > before) quiet = 0;
    }
    for (const { wish: asked, got, live } of this.#views) {
      const expected = this.#published.filter(
        ({ channel }) =>
          asked.pattern === ">" || channel === asked.pattern || (asked.pattern === "a.*" && channel !== "b"),
      );
      expect({ asked, live, got: got.map(({ n }) => n) }).toEqual({
        asked,
        live: true,
        got: expected.map(({ n }) => n),
      });
    }
  }

  /** Acknowledges some of what a subscription got, or all that it was told. */
  async #acknowledge(subscription: number, share: number): Promise<void> {
    const view = this.#views[subscription - 1] as View;
    const some = view.got[Math.ceil(share * view.got.length) - 1]?.offset ?? 0;
    const offset = share === 1 ? view.through : some;
    view.acknowledged = Math.max(view.acknowledged, offset);
    await this.#client.say({ is: "ack", subscription, offset });
  }

  /** Takes in what was sent since, by the rules. */
  #look(): void {
    const { heard } = this.#client.socket;
    for (; this.#heard < heard.length; this.#heard++) {
      const envelope = heard[this.#heard];
      if (envelope?.is === "error") throw new Error(JSON.stringify(envelope));
      if (envelope?.is === "caught-up") (this.#views[envelope.subscription - 1] as View).live = true;
      if (envelope?.is === "behind") (this.#views[envelope.subscription - 1] as View).live = false;
      if (envelope?.is !== "messages") continue;
      const { subscription, pattern } = envelope;
      const views = this.#views.filter((view, i) =>
        subscription === undefined ? view.live && view.wish.pattern === pattern : subscription === i + 1,
      );
      expect(views).not.toEqual([]);
      for (const view of views) {
        expect(envelope.after).toBeLessThanOrEqual(view.through);
        for (const { offset, data } of envelope.messages) {
          expect(offset).toBeGreaterThan(view.got.at(-1)?.offset ?? 0);
          view.got.push({ offset, n: (data as { n: number }).n });
        }
        view.through = Math.max(view.through, envelope.through);
        expect(view.unacknowledged).toBeLessThanOrEqual(view.wish.messages);
      }
    }
  }
}
