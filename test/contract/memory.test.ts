import { MemoryEngine } from "../../server/src/engine/memory/memory-engine.ts";
import { chance } from "../support/clock.ts";
import { runEngineContract } from "./engine.ts";
import { contractClock, type EngineUnderTest } from "./support.ts";

async function open(): Promise<EngineUnderTest> {
  const clock = contractClock();
  const engine = new MemoryEngine({ clock, chance });
  return {
    engine,
    advance: clock.advance,
    another: async () => engine.another(),
    async reopen() {
      await engine.close();
      return open();
    },
  };
}

runEngineContract("memory", { open, durability: "memory", keeps: false });
