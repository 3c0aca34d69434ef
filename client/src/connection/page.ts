/**
 * What a page tells about itself that matters to a connection: that it woke (timers stood still and the network may
 * be another), that the network went, and that it may never run again. Outside a browser it says nothing.
 */

export interface PageListener {
  /** Visible, online, shown or resumed: look at the connection now rather than when a throttled timer fires. */
  woke(): void;
  offline(): void;
  /** The page may be frozen or gone after this. What must be said has to be said now. */
  leaving(): void;
}

export interface Page {
  readonly hidden: boolean;
  stop(): void;
}

export type WatchPage = (listener: PageListener) => Page;

export const watchPage: WatchPage = ({ woke, offline, leaving }) => {
  // Node and some workers have neither.
  const { document, addEventListener } = globalThis as Partial<typeof globalThis>;
  const watching = new AbortController();
  const on = (types: string, run: () => void): void => {
    // Captured, because what happens to the document does not all bubble up to here.
    for (const type of types.split(" ")) addEventListener?.(type, run, { capture: true, signal: watching.signal });
  };
  // To be hidden is no waking, but to look at the connection then does no harm.
  on("visibilitychange pageshow resume online", woke);
  on("offline", offline);
  on("pagehide freeze", leaving);
  return {
    get hidden() {
      return document?.hidden ?? false;
    },
    stop: () => watching.abort(),
  };
};
