/** What each envelope of a client does. */
import {
  type Ack,
  defaultWindow,
  dogearError,
  type ErrorCode,
  type Hello,
  type Subscribe,
  type Unsubscribe,
} from "@dogear/shared";
import { protocolVersion } from "@dogear/shared/envelopes";
import type { Cursor, Taken } from "../hub/cursors.ts";
import { type Start, startIn } from "../hub/place.ts";
import { ask } from "./asking.ts";
import { asDogearError } from "./drafts.ts";
import type { Handle, Identity, Request, Session } from "./session.ts";
import { Subscription } from "./subscription.ts";
import { leave, settle, work } from "./working.ts";

type Handlers = {
  readonly [E in Request as E["is"]]: (session: Session, envelope: E) => Promise<void>;
};

/** Until tokens name users there is one. */
const anonymous = "anonymous";

const handlers: Handlers = {
  hello,
  subscribe,
  unsubscribe,
  ack,
  work,
  settle,
  leave,
  ask,
  refresh: async (session) => session.say({ is: "refreshed", time: session.parts.clock.now() }),
  pong: async () => {},
};

export const handle: Handle = (session, envelope) => handlers[envelope.is](session, envelope as never);

async function hello(session: Session, { protocol, subscriber, producer, ...asked }: Hello): Promise<void> {
  if (session.identity !== undefined) return session.close("hello-expected");
  if (protocol !== protocolVersion) {
    return session.close("unsupported-protocol", `It speaks ${protocolVersion}, the client ${protocol}.`);
  }
  const { hub, limits, clock, name } = session.parts;
  const sequencer = producer && (await hub.produce(anonymous, producer));
  if (session.closed) {
    if (producer !== undefined) hub.leaveProducer(anonymous, producer.id);
    return;
  }
  session.identity = { user: anonymous, subscriber, producer: producer && { id: producer.id, sequencer } };
  const heartbeatMs = asked.heartbeatMs ?? limits.heartbeatMs;
  session.heartbeat.greeted(clock.monotonic(), heartbeatMs);
  session.say({
    is: "welcome",
    protocol: protocolVersion,
    hub: name,
    session: session.id,
    user: anonymous,
    time: clock.now(),
    heartbeatMs,
    limits,
  });
}

async function unsubscribe(session: Session, { subscription: number }: Unsubscribe): Promise<void> {
  const subscription = session.subscriptions.get(number);
  if (subscription === undefined) return refused(session, number, "unknown-subscription");
  session.subscriptions.delete(number);
  // One that is still opening finds itself gone when it is ready.
  if (subscription instanceof Subscription) subscription.end();
  session.say({ is: "unsubscribed", subscription: number });
}

async function ack(session: Session, { subscription: number, offset }: Ack): Promise<void> {
  const subscription = session.subscriptions.get(number);
  if (subscription === undefined) {
    // One that was taken over may have been acknowledged before its client heard of it.
    return session.hasEnded("subscription", number) ? undefined : refused(session, number, "unknown-subscription");
  }
  const sent = subscription instanceof Subscription && subscription.acknowledge(offset);
  if (!sent) refused(session, number, "ack-beyond-sent");
}

async function subscribe(session: Session, envelope: Subscribe): Promise<void> {
  const { subscription: number } = envelope;
  const { subscriptions, parts } = session;
  if (subscriptions.has(number)) return refused(session, number, "subscription-in-use");
  if (subscriptions.size + session.members.size >= parts.limits.subscriptionsMax)
    return refused(session, number, "too-many-subscriptions");
  const opening = session.open("subscription", number);
  let taken: Taken | undefined;
  let subscription: Subscription | undefined;
  const takenOver = (why: Taken) => {
    taken = why;
    if (subscription !== undefined) session.endSubscription(subscription, why);
  };
  try {
    const opened = await open(session, envelope, takenOver);
    const { start } = opened;
    subscription = opened.subscription;
    const { newest } = await parts.hub.namespace(envelope.pattern).log.bounds();
    // It was closed or given up while it opened.
    if (session.closed || subscriptions.get(number) !== opening) return subscription.end();
    subscriptions.set(number, subscription);
    if (taken !== undefined) return session.endSubscription(subscription, taken);
    session.say({
      is: "subscribed",
      subscription: number,
      epoch: start.epoch,
      position: start.offset,
      head: newest,
    });
    subscription.begin(start.gap);
  } catch (error) {
    const { code } = asDogearError(error);
    if (code === "internal") throw error;
    if (subscriptions.get(number) !== opening) return;
    subscriptions.delete(number);
    refused(session, number, code);
  }
}

/** Finds where a subscription starts, claims its cursor if it wants one, and attaches it to its feed. */
async function open(
  session: Session,
  { subscription: number, pattern, cursor: durable, reset, from = "latest", window }: Subscribe,
  takenOver: (why: Taken) => void,
): Promise<{ readonly subscription: Subscription; readonly start: Start }> {
  const { hub, limits } = session.parts;
  const namespace = hub.namespace(pattern);
  let cursor: Cursor | undefined;
  let start: Start;
  if (durable === true) {
    const { user, subscriber } = session.identity as Identity;
    if (subscriber === undefined) throw dogearError("subscriber-required");
    const claimed = { from, reset: reset === true, takenOver };
    ({ cursor, start } = await hub.claim({ user, subscriber, pattern }, claimed));
  } else {
    start = await startIn(namespace.log, from);
  }
  const size = {
    messages: Math.min(window?.messages ?? defaultWindow.messages, limits.windowMessagesMax),
    bytes: Math.min(window?.bytes ?? defaultWindow.bytes, limits.windowBytesMax),
  };
  const feed = await namespace.feed(pattern);
  return { subscription: new Subscription({ number, session, namespace, feed, cursor, window: size, start }), start };
}

function refused(session: Session, subscription: number, code: ErrorCode): void {
  session.refuse({ code, subscription });
}
