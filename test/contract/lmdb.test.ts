import { LmdbEngine } from "../../server/src/engine/lmdb/lmdb-engine.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { chance } from "../support/clock.ts";
import { temporaryFolder } from "../support/temp.ts";
import { runEngineContract } from "./engine.ts";
import { contractClock, type EngineUnderTest } from "./support.ts";

async function open(data: string): Promise<EngineUnderTest> {
  const clock = contractClock();
  const fatal = (error: unknown) => {
    throw error;
  };
  const engine = await LmdbEngine.open({ data, clock, chance, logger: silentLogger, metrics: new Metrics(), fatal });
  return {
    engine,
    advance: clock.advance,
    async reopen() {
      await engine.close();
      return open(data);
    },
  };
}

runEngineContract("lmdb", { open: () => open(temporaryFolder()), durability: "disk", keeps: true });
