/** Folders for tests, and cleaning up after them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, TestRunner } from "vitest";

/** An empty folder that is removed when the running test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dogear-"));
  whenDone(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/**
 * Cleans up when the running test ends; what was started outside of a test, as in `beforeAll`, or left by a test that
 * was cut short, when the file does; and what a benchmark started, when the process does. What was started last is
 * cleaned up first.
 */
export function whenDone(clean: () => void | Promise<void>): void {
  left.add(clean);
  if (TestRunner.getCurrentTest() === undefined) return;
  onTestFinished(() => {
    left.delete(clean);
    return clean();
  });
}

/** `whenDone` for what is started later, perhaps in a test, on behalf of what is made here. */
export function whenDoneHere(): typeof whenDone {
  return TestRunner.getCurrentTest() === undefined ? (clean) => void left.add(clean) : whenDone;
}

const left = new Set<() => void | Promise<void>>();

/** Cleans up what is left, all of it also where some of it fails. */
export async function cleanUp(): Promise<void> {
  const clean = [...left].at(-1);
  if (clean === undefined) return;
  left.delete(clean);
  try {
    await clean();
  } finally {
    await cleanUp();
  }
}

process.once("exit", () => {
  for (const clean of [...left].reverse()) void clean();
});
// The runner ends its workers with a signal, and a signal alone does not lead to "exit".
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(1));
