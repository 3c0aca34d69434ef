/** All systems that are measured. */
import type { System } from "../system.ts";
import { dogear, dogearJetstream } from "./dogear.ts";
import { jetstream, jetstreamAlways } from "./jetstream.ts";
import { ws } from "./ws.ts";

export const systems: readonly System[] = [dogear, dogearJetstream, ws, jetstream, jetstreamAlways];
