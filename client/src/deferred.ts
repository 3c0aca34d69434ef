/** Promises settled from outside. */

/** Never an unhandled rejection by itself: whoever hands it on has someone who looks, or does not mind. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  declare resolve: (value: T) => void;
  declare reject: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}

/** The promise, or the signal's reason if that comes first. What the promise is about goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  const aborted = new Deferred<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  return Promise.race([aborted.promise, promise]).finally(() => signal.removeEventListener("abort", abort));
}
