/** How V8 collects garbage in a process that is a hub and little else. */
import { setFlagsFromString } from "node:v8";

/**
 * Under load V8 learns that drafts outlive a collection of the young, and from then on makes all of them where only a full
 * collection frees them: one every second, for tens of milliseconds on two cores.
 */
export function keepDraftsYoung(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}
