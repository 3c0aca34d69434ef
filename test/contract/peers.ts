/** The part of the engine contract about the hubs that share an engine. An embedded engine has one. */
import { describe, expect, it } from "vitest";
import type { Engine } from "../../server/src/engine/engine.ts";
import { Collected, eventually } from "../support/waiting.ts";
import { draft, type Fixture, policy } from "./support.ts";

const bytes = (text: string) => Buffer.from(text);
const text = (words: Uint8Array) => Buffer.from(words).toString();

export function describePeers({ opened, current }: Fixture): void {
  describe("peers", () => {
    it("knows itself, and nobody who is not there", async () => {
      await opened();
      const { peers } = current().engine;
      expect(peers.self).toMatch(/^[\w-]+$/);
      await expect(peers.ask("nobody", "topic", bytes("?"), 5_000)).rejects.toMatchObject({ code: "unavailable" });
      peers.tell("nobody", "topic", bytes("hello"));
      peers.tellAll("topic", bytes("hello"));
      expect(peers.isThere(peers.self)).toBe(true);
      expect(peers.others).toEqual([]);
    });

    /** Does something with two hubs, where there can be two. */
    const withTwo = async (use: (one: Engine, other: Engine) => Promise<void>): Promise<void> => {
      await opened();
      const other = await current().another?.();
      if (other === undefined) return;
      try {
        await use(current().engine, other);
      } finally {
        await other.close();
      }
    };

    it("brings what one says to another, in order, and to nobody else", async () => {
      await withTwo(async (one, other) => {
        const heard = new Collected<unknown>();
        other.peers.on("topic", (words, from) => void heard.add([text(words), from]));
        one.peers.on("topic", () => void heard.add("its own words"));
        for (let i = 0; i < 20; i++) one.peers.tell(other.peers.self, "topic", bytes(`${i}`));
        one.peers.tellAll("topic", bytes("all"));
        one.peers.tell(other.peers.self, "elsewhere", bytes("unheard"));
        await heard.reach(21);
        const said = [...Array.from({ length: 20 }, (_, i) => `${i}`), "all"];
        expect(heard.items).toEqual(said.map((words) => [words, one.peers.self]));
      });
    });

    it("knows which hubs are there, and is told of one that stops", async () => {
      await opened();
      const other = await current().another?.();
      if (other === undefined) return;
      const { peers } = current().engine;
      const gone = new Collected<string>();
      peers.onGone(gone.add);
      await eventually(() => peers.others.includes(other.peers.self));
      expect(peers.isThere(other.peers.self)).toBe(true);
      await other.close();
      expect(await gone.reach(1)).toEqual([other.peers.self]);
      expect(peers.isThere(other.peers.self)).toBe(false);
    });

    it("answers what one asks another, and says where it cannot", async () => {
      await withTwo(async (one, other) => {
        other.peers.on("echo", async (words) => bytes(`${text(words)}!`));
        other.peers.on("never", () => new Promise(() => {}));
        other.peers.on("fails", () => Promise.reject(new Error("no")));
        const ask = (topic: string, ms = 5_000) => one.peers.ask(other.peers.self, topic, bytes("hello"), ms);
        expect(text(await ask("echo"))).toBe("hello!");
        await expect(ask("never", 10)).rejects.toMatchObject({ code: "unavailable" });
        for (const topic of ["fails", "unheard"]) {
          await expect(ask(topic)).rejects.toMatchObject({ code: "unavailable" });
        }
      });
    });

    it("has one log and one state for all", async () => {
      await withTwo(async (one, other) => {
        const [here, there] = await Promise.all([one.open(policy), other.open(policy)]);
        await here.append([draft("a", 1)]);
        expect((await there.bounds()).newest).toBe(1);
        const version = (await one.state.put("k", bytes("1"), 0)) as number;
        expect(await other.state.put("k", bytes("2"), 0)).toBeUndefined();
        expect(await other.state.put("k", bytes("2"), version)).toBeGreaterThan(version);
        expect(text((await one.state.get("k"))?.value as Uint8Array)).toBe("2");
      });
    });
  });
}
