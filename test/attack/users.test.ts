/** Two users whose names are chosen so as to be mistaken for each other, and who call everything of theirs the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Authenticate } from "../../server/src/access/access.ts";
import type { Hub } from "../../server/src/hub/hub.ts";
import { memoryHub, settled, VirtualClock } from "../hub/support.ts";
import { Client } from "../session/support.ts";

const everything = { ">": ["publish", "subscribe", "work", "admin"] } as const;

/** The token is the user's name. */
const authenticate: Authenticate = async ({ token = "" }) => ({ user: token, capabilities: everything });

const names = fc.constantFrom(
  ...[
    "a",
    "A",
    "a/p",
    "a%2Fp",
    "a%2fp",
    "p",
    "/",
    "%",
    "a/",
    "a.b",
    "a b",
    "é",
    "é",
    "😀",
    "\0",
    "a\0",
    "a\n",
    "*",
    ">",
  ],
  ...["__proto__", "cursor", "../a", "a/a/i", "a/p/s"],
);

const pair = fc.tuple(names, names).filter(([one, other]) => one !== other);

const shared = fc.constantFrom("p", "a/p", "i", "a", "%2F", "a%2Fp", "p/s");

type Step =
  | { readonly do: "id"; readonly who: 0 | 1; readonly channel: string; readonly id: string }
  | { readonly do: "number"; readonly who: 0 | 1; readonly repeat: boolean }
  | { readonly do: "cursor"; readonly who: 0 | 1; readonly pattern: string; readonly processed: boolean };

const who = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("id" as const), who, channel: fc.constantFrom("a", "p"), id: shared }),
  fc.record({ do: fc.constant("number" as const), who, repeat: fc.boolean() }),
  fc.record({ do: fc.constant("cursor" as const), who, pattern: fc.constantFrom("a", "p"), processed: fc.boolean() }),
);

/** One of the two, and what it must be told if the other did not exist. */
class Person {
  readonly #client: Client;
  readonly #ids = new Map<string, number>();
  /** Where each cursor is, or is at least: one that has nothing before it to process goes on with the log. */
  readonly #cursors = new Map<string, { readonly at: number; readonly exactly: boolean }>();
  #number = 0;
  #asked = 0;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async enter(hub: Hub, clock: VirtualClock, user: string, name: string): Promise<Person> {
    const greeting = { token: user, subscriber: name, producer: { id: name, settled: 0 } };
    return new Person(await Client.greet(hub, clock, greeting));
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "id":
        return this.#publishById(`${step.channel}/${step.id}`, { channel: step.channel, id: step.id });
      case "number":
        return this.#publishByNumber(step.repeat);
      case "cursor":
        return this.#read(step.pattern, step.processed);
    }
  }

  async #publishById(key: string, draft: object): Promise<void> {
    const { offset, duplicate } = await this.#publish(++this.#number, draft);
    expect(duplicate).toBe(this.#ids.has(key));
    expect(offset).toBe(this.#ids.get(key) ?? offset);
    this.#ids.set(key, offset);
  }

  async #publishByNumber(repeat: boolean): Promise<void> {
    const repeated = repeat && this.#number > 0;
    if (!repeated) this.#number++;
    expect((await this.#publish(this.#number, { channel: "a" })).duplicate).toBe(repeated);
  }

  async #publish(number: number, draft: object): Promise<{ offset: number; duplicate: boolean }> {
    await this.#client.say({ is: "publish", number, data: 1, ...draft });
    const published = this.#client.all("published").at(-1);
    if (published?.number !== number) throw new Error(JSON.stringify(this.#client.all("error")));
    return published;
  }

  /** Subscribes by a cursor: it must be where this one left it. */
  async #read(pattern: string, processed: boolean): Promise<void> {
    const subscription = ++this.#asked;
    await this.#client.say({ is: "subscribe", subscription, pattern, cursor: true, from: "earliest" });
    const { position } = this.#client.all("subscribed").at(-1) as { position: number };
    const { at, exactly } = this.#cursors.get(pattern) ?? { at: 0, exactly: true };
    if (exactly) expect(position).toBe(at);
    else expect(position).toBeGreaterThanOrEqual(at);
    while (this.#client.all("caught-up").at(-1)?.subscription !== subscription) await settled();
    const sent = this.#client.all("messages").filter((one) => one.subscription === subscription);
    const through = sent.at(-1)?.through ?? position;
    if (processed) await this.#client.say({ is: "ack", subscription, offset: through });
    await this.#client.say({ is: "unsubscribe", subscription });
    const done = processed || sent.every(({ messages }) => messages.length === 0);
    this.#cursors.set(pattern, done ? { at: through, exactly: false } : { at: position, exactly: true });
    expect(this.#client.all("unsubscribed").every(({ code }) => code === undefined)).toBe(true);
  }
}

describe("two users", () => {
  it("never meet in each other's producers, ids and cursors, whatever all of them are called (P-23, P-30, P-34)", async () => {
    await fc.assert(
      fc.asyncProperty(pair, shared, fc.array(step, { minLength: 5, maxLength: 25 }), async (users, name, steps) => {
        const clock = new VirtualClock();
        const access = {
          policy: { tokens: undefined, keys: [], cookie: "dogear" },
          authenticate,
          authorize: undefined,
        };
        const { hub } = await memoryHub(clock, { access });
        const people = [await Person.enter(hub, clock, users[0], name), await Person.enter(hub, clock, users[1], name)];
        for (const one of steps) await people[one.who]?.take(one);
        await hub.close();
      }),
      { numRuns: 40 },
    );
  });
});
