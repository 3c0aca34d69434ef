/** The commands there are, in the order the help names them. */
import type { Command } from "./command.ts";
import { publish } from "./publish.ts";
import { serve } from "./serve.ts";
import { subscribe } from "./subscribe.ts";

export const commands: readonly Command[] = [serve, publish, subscribe];
