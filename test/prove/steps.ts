/** What `npm run prove` runs: the same tests as `npm test`, and programs, but more of them. */

export interface Step {
  readonly name: string;
  /** Of the time that there is. */
  readonly share: number;
  /** Test files, or folders of them. */
  readonly tests?: readonly string[];
  /** A script of this repository that can be told how many minutes it has. */
  readonly script?: string;
  /** Environment variables that say how much is done, and how many seconds one of it takes. */
  readonly counts?: Readonly<Record<string, number>>;
}

export const steps: readonly Step[] = [
  { name: "simulation", share: 0.2, script: "simulate" },
  { name: "mutants", share: 0.1, tests: ["test/mutants"] },
  { name: "random kills", share: 0.08, tests: ["test/crash/kill.test.ts"], counts: { CRASH_KILLS: 2 } },
  {
    name: "named points and frozen clients",
    share: 0.08,
    tests: ["points", "stop", "frozen", "poison"].map((name) => `test/crash/${name}.test.ts`),
    counts: { CRASH_ROUNDS: 40 },
  },
  { name: "power cuts", share: 0.07, tests: ["test/disk/power.test.ts"], counts: { POWER_CUTS: 3 } },
  { name: "I/O failures", share: 0.07, tests: ["test/disk/io-errors.test.ts"], counts: { DISK_FAILURES: 3 } },
  { name: "damage", share: 0.04, tests: ["test/disk/damage.test.ts"], counts: { DISK_DAMAGES: 1 } },
  {
    name: "refusing disks and order",
    share: 0.01,
    tests: ["refusing", "order"].map((name) => `test/disk/${name}.test.ts`),
  },
  { name: "network", share: 0.04, tests: ["test/network"], counts: { NETWORK_CUTS: 0.2 } },
  { name: "fuzzing", share: 0.05, tests: ["test/fuzz"], counts: { FUZZ_CASES: 0.02 } },
  { name: "conformance", share: 0.01, tests: ["test/conformance"] },
  { name: "cluster", share: 0.05, tests: ["test/cluster"] },
  { name: "soak", share: 0.2, script: "soak" },
];

const testTimeoutMs = 1_800_000;

/** How a step is started, and with which environment, so that it takes about so many seconds. */
export function commandOf(
  step: Step,
  seconds: number,
): { command: string; args: string[]; env: Record<string, string> } {
  const { tests, script, counts = {} } = step;
  const many = Object.entries(counts).map(([name, each]) => [name, String(Math.max(1, Math.floor(seconds / each)))]);
  const env = Object.fromEntries(many) as Record<string, string>;
  if (script !== undefined)
    return { command: "npm", args: ["run", "--silent", script, "--", "--minutes", String(seconds / 60)], env };
  // Many cases of one property are one test.
  const patience = ["--testTimeout", String(testTimeoutMs)];
  return { command: "npx", args: ["vitest", "run", "--project", "test", ...patience, ...(tests ?? [])], env };
}
