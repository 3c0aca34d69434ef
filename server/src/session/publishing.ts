/** What becomes of a draft between its envelope and the log: whether it may be published, and who is told what where not. */
import type { Channel, Pattern } from "@dogear/shared";
import { missing } from "../access/access.ts";
import type { Right } from "../access/capabilities.ts";
import type { IncomingPublish, Mistake } from "../codec/codec.ts";
import { scopedId } from "../hub/scope.ts";
import type { Drafts } from "./drafts.ts";
import type { Identity } from "./identity.ts";

/** What publishing needs of a session. */
export interface PublishingSession {
  readonly known: Identity;
  readonly drafts: Drafts;
  may(right: Right, name: Channel | Pattern): boolean;
  refuse(mistake: Mistake): void;
}

/** Takes a draft; it goes to the log with the next `drafts.hand`. */
export function publish(session: PublishingSession, draft: IncomingPublish): void {
  const { number, channel, id, attributes, payload } = draft;
  const { principal, quota, producer } = session.known;
  // What was published once is not refused afterwards, whatever may be published now.
  const repeated = producer?.sequencer?.hasSeen(number) === true;
  if (!repeated && !session.may("publish", channel)) {
    return refuse(session, number, { code: "forbidden", detail: missing("publish", channel), number });
  }
  if (producer !== undefined && producer.sequencer === undefined) {
    return session.refuse({ code: "producer-forgotten", number });
  }
  if (!quota.publish(payload.length + attributes.length)) return session.refuse({ code: "rate-limited", number });
  session.drafts.add(draft, scopedId(principal.user, channel, id), producer?.sequencer);
}

/** Refuses a draft for good: it uses up its number, so that the drafts after it are in order. */
export function refuse(session: PublishingSession, number: number, mistake: Mistake): void {
  session.refuse(uses(session, number) ? mistake : { code: "out-of-order", number });
}

/** Uses up a number of the session's producer, if it has one, without appending under it. False where it skips ahead. */
function uses({ known, drafts }: PublishingSession, number: number): boolean {
  const sequencer = known.producer?.sequencer;
  if (sequencer === undefined) return true;
  drafts.hand();
  return sequencer.use(number);
}
