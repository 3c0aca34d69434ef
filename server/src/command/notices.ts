/** What becomes of a subscription and its connection, for the person or the program that reads standard error. */
import type { Writable } from "node:stream";
import { type Dogear, DogearError, type Resumed, type Subscription, type SubscriptionEvents } from "@dogear/client";
import { refusal } from "./usage.ts";

export interface NoticesOptions {
  /** The hub's. */
  readonly url: string;
  /** Leaves out all but gaps and errors. */
  readonly quiet: boolean;
  readonly output: Writable;
}

/** The WebSocket close code of a connection that broke off without one. */
const abnormal = 1006;

export function giveNotices(dogear: Dogear, subscription: Subscription, options: NoticesOptions): void {
  const { url, quiet, output } = options;
  const say = (sentence: string): void => void output.write(`dogear: ${sentence}\n`);

  subscription.addEventListener("gap", ({ detail: gap }) => output.write(`${JSON.stringify({ gap })}\n`));
  dogear.addEventListener("error", ({ detail: { error } }) =>
    say(error instanceof DogearError ? refusal(error) : String(error)),
  );
  if (quiet) return;

  let connected = false;
  let lost = false;
  dogear.addEventListener("state", ({ detail: { name, code, reason } }) => {
    if (name === "waiting" && !lost) {
      const why = code === undefined || code === abnormal ? "" : ` (${reason || code})`;
      say(
        connected ? `The connection is lost${why}; trying again.` : `No hub answers at ${url} yet${why}; trying again.`,
      );
    }
    connected ||= name === "open";
    lost = name === "waiting" || (lost && name !== "open");
  });
  dogear.addEventListener("resumed", ({ detail }) => say(resumed(detail)));
  const subscribed = ({ detail: { position, head } }: Subscribed): void =>
    say(`Subscribed to ${subscription.pattern} after ${position.epoch}:${position.offset}; the log ends at ${head}.`);
  subscription.addEventListener("subscribed", subscribed, { once: true });
}

type Subscribed = CustomEvent<SubscriptionEvents["subscribed"]>;

function resumed({ awayMs, missed, gap }: Resumed): string {
  const away = awayMs < 1_000 ? `${Math.round(awayMs)} ms` : `${(awayMs / 1_000).toFixed(1)} s`;
  const back = `Connected again after ${away}: ${missed === 1 ? "1 message" : `${missed} messages`} missed`;
  return gap ? `${back} and delivered, and a gap.` : missed === 0 ? `${back}.` : `${back}, all delivered.`;
}
