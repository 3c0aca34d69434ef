/**
 * How many timers are set. `process.getActiveResourcesInfo()` tells only of those that keep a process alive, and the hub's do
 * not; so those that are set from now on in this process are counted as they come and go.
 */
export function countTimers(): () => number {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const timers = new Set<unknown>();
  const counted = (call: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
    const timer = set(() => {
      timers.delete(timer);
      call(...given);
    }, ms);
    timers.add(timer);
    return timer;
  };
  const uncounted = (timer: NodeJS.Timeout | undefined) => {
    timers.delete(timer);
    clear(timer);
  };
  // What else hangs on the function, as its form that promises, goes on uncounted.
  globalThis.setTimeout = Object.assign(counted, set) as typeof setTimeout;
  globalThis.clearTimeout = uncounted as typeof clearTimeout;
  return () => timers.size;
}
