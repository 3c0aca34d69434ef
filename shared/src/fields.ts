/** Fields that several envelopes have, as schemas. */
import { z } from "zod";
import { nameLengthMax } from "./limits.ts";
import type { Channel, Pattern } from "./names.ts";
import { isChannel, isPattern } from "./names.ts";
import type { Epoch, Offset } from "./position.ts";

export const channel = z.string().refine(isChannel) as unknown as z.ZodType<Channel>;
export const pattern = z.string().refine(isPattern) as unknown as z.ZodType<Pattern>;
export const offset = z.number().int().nonnegative() as unknown as z.ZodType<Offset>;
export const epoch = z.string().min(1).max(nameLengthMax) as unknown as z.ZodType<Epoch>;
export const milliseconds = z.number().int().nonnegative();
export const position = z.strictObject({ epoch, offset });

/** A place in a log: before everything, after everything, after a position, or at a time. */
export const from = z.union([
  z.literal("latest"),
  z.literal("earliest"),
  position,
  z.strictObject({ time: milliseconds }),
]);
