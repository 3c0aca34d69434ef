/** All that a channel holds, once. */
import { setImmediate } from "node:timers/promises";
import type { Dogear, Message } from "@dogear/client";

/** From the oldest message to the newest there is when it gets there, or as many as the limit says. */
export async function* messagesUntilNow(
  dogear: Dogear,
  channel: string,
  limit: number,
): AsyncGenerator<Message, void, undefined> {
  const subscription = dogear.subscribe(channel, { from: "earliest", onGap: "continue" });
  let look = (): void => {};
  subscription.addEventListener("live", () => look());
  /** A live subscription hands over what has arrived without delay: where it does not, there is no more. */
  const nothingMore = async (): Promise<undefined> => {
    if (subscription.state !== "live") {
      await new Promise<void>((resolve) => {
        look = resolve;
      });
    }
    await setImmediate();
  };
  const messages = subscription[Symbol.asyncIterator]();
  try {
    for (let count = 0; count < limit; count++) {
      const result = await Promise.race([messages.next(), nothingMore()]);
      if (result === undefined || result.done) return;
      yield result.value;
    }
  } finally {
    await subscription.unsubscribe();
  }
}
