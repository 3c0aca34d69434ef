import { MemoryEngine } from "../../server/src/engine/memory/memory-engine.ts";
import { chance, movableClock } from "../support/clock.ts";
import { type EngineUnderTest, runEngineContract } from "./engine.ts";

async function open(): Promise<EngineUnderTest> {
  const clock = movableClock();
  const engine = new MemoryEngine({ clock, chance });
  return {
    engine,
    advance: clock.advance,
    async reopen() {
      await engine.close();
      return open();
    },
  };
}

runEngineContract("memory", { open, durability: "memory", keeps: false });
