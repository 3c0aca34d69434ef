/** What hubs say to each other: words arrive as they were said, and what nobody said breaks a link, not a hub. */
import { DogearError } from "@dogear/shared";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LeasedText } from "../../server/src/codec/codec.ts";
import type { HubId, PeerListener, Peers } from "../../server/src/engine/engine.ts";
import { Colleagues } from "../../server/src/hub/colleagues.ts";
import { readWord, writeWord } from "../../server/src/hub/groups/words.ts";
import { Links } from "../../server/src/hub/links.ts";
import { VirtualClock } from "../hub/support.ts";
import { chance } from "../support/clock.ts";
import { mutated } from "./mutation.ts";
import { fuzz, oddValue, typed } from "./support.ts";

const text = fc.string({ unit: fc.constantFrom("a", "\n", '"', "{", "}", "ß", "😀", "\0") });
const leased = fc.array(
  fc.record({ fence: fc.nat(), deliveries: fc.nat(), failures: fc.nat(), text: text.map((one) => Buffer.from(one)) }),
  { maxLength: 6 },
);

describe("words between hubs", () => {
  it("are heard as they were said, whatever the texts of messages hold", async () => {
    await fuzz(fc.tuple(leased, text), ([leases, port]) => {
      const word = { port, say: "leased", leased: leases as readonly LeasedText[] } as const;
      expect(readWord(writeWord(word))).toEqual(word);
      const settled = { port, say: "settled", fences: leases.map(({ fence }) => fence) } as const;
      expect(readWord(writeWord(settled))).toEqual(settled);
    });
  });
});

/** A hub whose others are in the test's hands. */
class LonePeers implements Peers {
  readonly self = "self" as HubId;
  readonly others: readonly HubId[] = [];
  readonly listeners = new Map<string, PeerListener>();
  readonly said: string[] = [];
  isThere = () => true;
  readonly canBe = true;
  onGone(): void {}
  on(topic: string, listener: PeerListener): void {
    this.listeners.set(topic, listener);
  }
  tell(_hub: HubId, _topic: string, words: Uint8Array): void {
    this.said.push(Buffer.from(words).toString());
  }
  tellAll(): void {}
  ask(): Promise<Uint8Array> {
    return Promise.reject(new DogearError("unavailable", "Nobody is there."));
  }
  /** Another hub says something. What a listener throws is logged by every engine's peers, and goes no further. */
  hear(topic: string, words: Uint8Array): Promise<Uint8Array> | undefined {
    return this.listeners.get(topic)?.(words, "other" as HubId);
  }
}

describe("a link", () => {
  const heading = (number: number, only?: string) => JSON.stringify({ link: "k", number, only, first: true });
  const said = [
    `${heading(1)}\n{"port":"1","say":"open","open":true}`,
    `${heading(2)}\n{"port":"1","say":"settle","fences":[1],"settlement":{"outcome":"ack"}}`,
    `${heading(2, "beat")}\n`,
    `${heading(2, "broken")}\n`,
  ];

  it("that hears anything throws no more than that it is nonsense, and is broken in the end, once", async () => {
    await fuzz(
      fc.array(mutated(said, 3), { maxLength: 6 }),
      (all) => {
        const peers = new LonePeers();
        const heard: string[] = [];
        let begun = 0;
        const accept = () => {
          begun++;
          const happened = (what: string) => void heard.push(what);
          return { heard: (words: Buffer) => happened(readWord(words).say), broken: () => happened("broken") };
        };
        const links = new Links({ peers, clock: new VirtualClock(), chance, accept });
        for (const words of all) typed(() => void peers.hear("link", words), SyntaxError, TypeError);
        links.close();
        expect(heard.filter((what) => what === "broken")).toHaveLength(begun);
      },
      { share: 2 },
    );
  });

  it("whose words make no sense is broken, at both ends (a lost word is not passed over)", () => {
    const peers = new LonePeers();
    const broken: string[] = [];
    const accept = () => ({ heard: (words: Buffer) => void readWord(words), broken: () => void broken.push("here") });
    new Links({ peers, clock: new VirtualClock(), chance, accept });
    expect(() => peers.hear("link", Buffer.from(`${heading(1)}\nnonsense`))).toThrow(SyntaxError);
    expect(broken).toEqual(["here"]);
    expect(peers.said.join()).toContain('"only":"broken"');
  });
});

describe("what hubs ask each other", () => {
  it("is answered, with an error where it is nonsense", async () => {
    const peers = new LonePeers();
    const colleagues = new Colleagues(peers);
    colleagues.serve("do", async (question: { readonly what: { readonly name: string } }) => question.what.name);
    const asked = fc.oneof(
      oddValue.map((value) => Buffer.from(JSON.stringify(value) ?? "")),
      mutated(['{"what":{"name":"x"}}']),
    );
    await fuzz(asked, async (words) => {
      const answer = await peers.hear("do", words);
      if (answer !== undefined) JSON.parse(Buffer.from(answer).toString());
    });
  });
});
