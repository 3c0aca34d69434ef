/** What this machine allows at most, or at least takes, whatever the system. */
import type { Result } from "../figures.ts";

export interface Limit {
  /** What it finds, by name. */
  readonly finds: readonly string[];
  /** Whether it is measured also where no workload asks for it. */
  readonly always: boolean;
  /** A folder on the disk that systems store on. */
  measure(folder: string): Promise<Result>;
}
