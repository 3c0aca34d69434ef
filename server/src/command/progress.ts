/** How far something long is, on a line of its own of a terminal. */
import type { Shell } from "./command.ts";

const everyMs = 250;
const eraseRest = "\u001b[K";

/** Shows what `line` returns until the function it returns is called. Shows nothing where no person looks. */
export function showProgress(stderr: Shell["stderr"], line: () => string): () => void {
  if (!stderr.isTTY) return () => {};
  const timer = setInterval(() => stderr.write(`\r${line()}${eraseRest}`), everyMs);
  return () => {
    clearInterval(timer);
    stderr.write(`\r${eraseRest}`);
  };
}

/** Says how many there are, each time it is called, and how many more each second since the last progress. */
export function pace(count: () => number): () => string {
  let last = 0;
  return () => {
    const now = count();
    const rate = ((now - last) * 1_000) / everyMs;
    last = now;
    return `${now.toLocaleString("en")} published, ${rate.toLocaleString("en")}/s`;
  };
}
