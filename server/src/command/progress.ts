/** How far a long publish is, on a line of its own of a terminal. */
import type { Shell } from "./command.ts";

const everyMs = 250;
const eraseRest = "\u001b[K";

/** Shows the count and its rate until the function it returns is called. Shows nothing where no person looks. */
export function showProgress(stderr: Shell["stderr"], count: () => number): () => void {
  if (!stderr.isTTY) return () => {};
  let last = 0;
  const timer = setInterval(() => {
    const now = count();
    const rate = ((now - last) * 1_000) / everyMs;
    last = now;
    stderr.write(`\r${now.toLocaleString("en")} published, ${rate.toLocaleString("en")}/s${eraseRest}`);
  }, everyMs);
  return () => {
    clearInterval(timer);
    stderr.write(`\r${eraseRest}`);
  };
}
