/** What members of groups ask for: to work, to settle, to leave. */
import { defaultMemberWindow, type Leave, type Settle, type Work } from "@dogear/shared";
import { missing } from "../access/access.ts";
import type { Settlement } from "../hub/groups/leases.ts";
import { startIn } from "../hub/place.ts";
import { scoped } from "../hub/scope.ts";
import { asDogearError } from "./drafts.ts";
import { claimantOf } from "./identity.ts";
import { Member } from "./member.ts";
import type { Opening } from "./numbered.ts";
import type { Session } from "./session.ts";

export async function work(session: Session, envelope: Work): Promise<void> {
  const { member: number } = envelope;
  const { members } = session;
  if (members.has(number)) return session.refuse({ code: "member-in-use", member: number });
  if (!session.may("work", envelope.pattern)) {
    return session.refuse({ code: "forbidden", detail: missing("work", envelope.pattern), member: number });
  }
  const opening = session.open(members, number);
  if (opening === undefined) return session.refuse({ code: "too-many-subscriptions", member: number });
  let mine: Member | Opening = opening;
  // It may be closed or given up, and the number used again, at any time meanwhile.
  const isMine = () => !session.closed && members.get(number) === mine;
  try {
    const member = await declare(session, envelope);
    if (!isMine()) return;
    mine = member;
    members.set(number, member);
    const joined = await member.join(envelope.holding ?? []);
    if (isMine()) member.begin(joined);
  } catch (error) {
    const { code, message } = asDogearError(error);
    if (code === "internal") throw error;
    if (!isMine()) return;
    session.release(members, number);
    session.say({ is: "error", code, message, member: number });
  }
}

export async function leave(session: Session, { member: number, holding = [] }: Leave): Promise<void> {
  const { members } = session;
  const member = members.get(number);
  if (member === undefined) {
    // One that was ended by the hub has left already.
    return session.members.hasEnded(number) ? undefined : session.refuse({ code: "unknown-member", member: number });
  }
  // Until then its number is not free, and it can settle what it holds.
  if (member instanceof Member && !(await member.leave(holding))) return;
  if (members.get(number) !== member) return;
  session.release(members, number);
  session.say({ is: "left", member: number });
}

export async function settle(session: Session, envelope: Settle): Promise<void> {
  const { member: number, fences } = envelope;
  const member = session.members.get(number);
  if (member instanceof Member) return member.settle(fences, settlementOf(envelope));
  if (!session.members.hasEnded(number)) return session.refuse({ code: "unknown-member", member: number });
  // The client may not know yet that its member is no more.
  for (const fence of fences) session.refuse({ code: "lease-lost", member: number, fence });
}

/** The member of the group that an envelope declares, not joined yet. */
async function declare(session: Session, envelope: Work): Promise<Member> {
  const { hub, limits } = session.parts;
  const { is, member: number, id, group: name, pattern, from, window, holding, ...policy } = envelope;
  const namespace = hub.namespace(pattern);
  const start = async () => (await startIn(namespace.log, from ?? "earliest")).offset;
  const group = await hub.groups.declare({
    namespace,
    name,
    pattern,
    policy,
    may: (works) => session.may("work", works),
    start,
  });
  return new Member({
    number,
    id: scoped(session.principal.user, id),
    by: claimantOf(session.known),
    window: Math.min(window ?? defaultMemberWindow, limits.windowMessagesMax),
    session,
    group,
  });
}

function settlementOf({ outcome, delayMs, error, leaseMs }: Settle): Settlement {
  switch (outcome) {
    case "ack":
    case "release":
      return { outcome };
    case "retry":
      return { outcome, delayMs, error };
    case "reject":
      return { outcome, error };
    case "extend":
      return { outcome, leaseMs };
  }
}
