/** The commands there are, in the order the help names them. */
import type { Command } from "./command.ts";
import { serve } from "./serve.ts";

export const commands: readonly Command[] = [serve];
