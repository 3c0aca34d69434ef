/** What each envelope of a client does. */
import {
  type Ack,
  DogearError,
  defaultWindow,
  dogearError,
  type ErrorCode,
  type Hello,
  isClosing,
  type Refresh,
  type Subscribe,
  type Unsubscribe,
} from "@dogear/shared";
import { protocolVersion } from "@dogear/shared/envelopes";
import { forbidden, missing } from "../access/access.ts";
import type { Principal } from "../access/principal.ts";
import type { Cursor, Taken } from "../hub/cursors.ts";
import { type Start, startIn } from "../hub/place.ts";
import type { Sequencer } from "../hub/sequencer.ts";
import { ask } from "./asking.ts";
import { asDogearError } from "./drafts.ts";
import { claimantOf } from "./identity.ts";
import type { Handle, Request, Session } from "./session.ts";
import { Subscription } from "./subscription.ts";
import { leave, settle, work } from "./working.ts";

type Handlers = {
  readonly [E in Request as E["is"]]: (session: Session, envelope: E) => Promise<void>;
};

const handlers: Handlers = {
  hello,
  refresh,
  subscribe,
  unsubscribe,
  ack,
  work,
  settle,
  leave,
  ask,
  pong: async () => {},
};

export const handle: Handle = (session, envelope) => handlers[envelope.is](session, envelope as never);

async function hello(session: Session, envelope: Hello): Promise<void> {
  const { protocol, token, subscriber, producer, connection } = envelope;
  if (session.identity !== undefined) return session.close("hello-expected");
  if (protocol !== protocolVersion) {
    return session.close("unsupported-protocol", `It speaks ${protocolVersion}, the client ${protocol}.`);
  }
  const { hub, limits, clock, name } = session.parts;
  const principal = await letIn(session, token);
  if (principal === undefined) return;
  const { user, expires } = principal;
  const quota = hub.access.quotaOf(principal);
  if (!quota.connect()) return session.close("too-many-connections");
  let sequencer: Sequencer | undefined;
  try {
    sequencer = producer && (await hub.produce(user, producer));
  } catch (error) {
    quota.disconnect();
    throw error;
  }
  // Whoever revoked it meanwhile did not know this session yet.
  if (hub.access.isRevoked(principal)) session.close("revoked");
  if (session.closed) {
    if (producer !== undefined) hub.leaveProducer(user, producer.id);
    return quota.disconnect();
  }
  const since = clock.now();
  const sequenced = producer && { id: producer.id, sequencer };
  session.welcomed({ principal, quota, since, subscriber, producer: sequenced, connection });
  const heartbeatMs = envelope.heartbeatMs ?? limits.heartbeatMs;
  session.heartbeat.greeted(clock.monotonic(), heartbeatMs);
  session.say({
    is: "welcome",
    protocol: protocolVersion,
    hub: name,
    session: session.id,
    user,
    ...(expires !== undefined && { expires }),
    time: since,
    heartbeatMs,
    limits,
  });
}

async function refresh(session: Session, { token }: Refresh): Promise<void> {
  session.refreshing = session.refreshing.then(() => renew(session, token));
  await session.refreshing;
}

async function renew(session: Session, token: string): Promise<void> {
  const principal = await letIn(session, token);
  if (principal === undefined) return;
  if (principal.user !== session.principal.user) return session.close("unauthorized", "It names another user.");
  session.identity = { ...session.known, principal };
  endForbidden(session);
  const { expires } = principal;
  session.say({ is: "refreshed", ...(expires !== undefined && { expires }), time: session.parts.clock.now() });
}

/** Ends what the session's token does not allow any more. */
function endForbidden(session: Session): void {
  for (const subscription of session.subscriptions) {
    const { pattern } = subscription;
    if (session.may("subscribe", pattern)) continue;
    session.endSubscription(subscription, "forbidden", forbidden("subscribe", pattern).message);
  }
  for (const member of session.members) {
    if (session.may("work", member.pattern)) continue;
    member.detach();
    session.endMember(member, forbidden("work", member.pattern));
  }
}

/** Who comes with a token; `undefined` where the session is closed, or is closed over it. */
async function letIn(session: Session, token: string | undefined): Promise<Principal | undefined> {
  try {
    const principal = await session.parts.hub.access.authenticate({ token, address: session.address });
    return session.closed ? undefined : principal;
  } catch (error) {
    if (!(error instanceof DogearError) || !isClosing(error.code)) throw error;
    session.closeOver(error.code, error.message);
    return undefined;
  }
}

async function unsubscribe(session: Session, { subscription: number }: Unsubscribe): Promise<void> {
  const subscription = session.subscriptions.get(number);
  if (subscription === undefined) return refused(session, number, "unknown-subscription");
  session.release(session.subscriptions, number);
  // One that is still opening finds itself gone when it is ready.
  if (subscription instanceof Subscription) subscription.end();
  session.say({ is: "unsubscribed", subscription: number });
}

async function ack(session: Session, { subscription: number, offset }: Ack): Promise<void> {
  const subscription = session.subscriptions.get(number);
  if (subscription === undefined) {
    // One that was taken over may have been acknowledged before its client heard of it.
    return session.subscriptions.hasEnded(number) ? undefined : refused(session, number, "unknown-subscription");
  }
  const sent = subscription instanceof Subscription && subscription.acknowledge(offset);
  if (!sent) refused(session, number, "ack-beyond-sent");
}

async function subscribe(session: Session, envelope: Subscribe): Promise<void> {
  const { subscription: number, pattern } = envelope;
  const { subscriptions, parts } = session;
  const needed = missing("subscribe", pattern);
  if (subscriptions.has(number)) return refused(session, number, "subscription-in-use");
  if (!session.may("subscribe", pattern)) return refused(session, number, "forbidden", needed);
  const opening = session.open(subscriptions, number);
  if (opening === undefined) return refused(session, number, "too-many-subscriptions");
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
    const { newest } = await parts.hub.namespace(pattern).log.bounds();
    // It was closed or given up while it opened.
    if (session.closed || subscriptions.get(number) !== opening) return subscription.end();
    subscriptions.set(number, subscription);
    if (taken !== undefined) return session.endSubscription(subscription, taken);
    // The token may have been another when it was asked for.
    if (!session.may("subscribe", pattern)) return session.endSubscription(subscription, "forbidden");
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
    session.release(session.subscriptions, number);
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
    const { principal, subscriber } = session.known;
    if (subscriber === undefined) throw dogearError("subscriber-required");
    const claimed = { from, reset: reset === true, takenOver, by: claimantOf(session.known) };
    ({ cursor, start } = await hub.claim({ user: principal.user, subscriber, pattern }, claimed));
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

function refused(session: Session, subscription: number, code: ErrorCode, detail?: string): void {
  session.refuse({ code, subscription, ...(detail !== undefined && { detail }) });
}
