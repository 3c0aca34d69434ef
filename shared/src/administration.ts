/**
 * What an operator asks of a hub, and what it answers: cursors and groups, how far they are, and how to move them.
 *
 * Loads zod, as the envelopes do; a client needs the types alone.
 */
import { z } from "zod";
import { channel, epoch, from, milliseconds, offset, pattern, position } from "./fields.ts";
import { type GroupPolicy, groupName, groupPolicy } from "./group.ts";
import { browseMax, listMax, nameLengthMax } from "./limits.ts";

const text = z.string().min(1).max(512);
/** As in hello: half a surrogate pair has no UTF-8. */
const identity = z
  .string()
  .min(1)
  .max(nameLengthMax)
  .regex(/^\P{Surrogate}+$/u);
const group = { group: groupName, namespace: z.string().max(nameLengthMax).optional() } as const;
const cursor = { user: identity, subscriber: identity, pattern } as const;
const listing = { after: z.string().max(2_048).optional(), limit: z.number().int().positive().max(listMax).optional() };

/** One request. `do` says what for. */
export const action = z.discriminatedUnion("do", [
  /** The namespaces there are; answered with a {@link NamespaceList}. */
  z.strictObject({ do: z.literal("list-namespaces") }),
  /** The channels that have messages, ordered by name; answered with a {@link ChannelList}. */
  z.strictObject({ do: z.literal("list-channels"), namespace: z.string().max(nameLengthMax).optional(), ...listing }),
  /** The sessions of all hubs, ordered by id; answered with a {@link SessionList}. */
  z.strictObject({ do: z.literal("list-sessions"), ...listing }),
  /** Ends a session with `disconnected`; answered with `null`. Its client may come back. */
  z.strictObject({ do: z.literal("disconnect"), session: text }),
  /**
   * Refuses a token by its id (`jti`), or the tokens of a user that were issued before a time, now where none is given, from
   * now on, and ends the sessions that came with them; answered with a {@link Revoked}.
   */
  z.strictObject({
    do: z.literal("revoke"),
    token: identity.optional(),
    user: identity.optional(),
    before: milliseconds.optional(),
  }),
  /** Takes back a message that was scheduled; answered with `null`. */
  z.strictObject({
    do: z.literal("cancel"),
    id: text,
  }),
  /** The cursors there are, ordered by name; answered with a {@link CursorList}. */
  z.strictObject({ do: z.literal("list-cursors"), ...listing }),
  z.strictObject({ do: z.literal("show-cursor"), ...cursor }),
  /** Moves a cursor, and ends the subscription that holds it; answered with its {@link CursorReport}. */
  z.strictObject({ do: z.literal("reset-cursor"), ...cursor, to: from }),
  /** The groups there are, ordered by name; answered with a {@link GroupList}. */
  z.strictObject({ do: z.literal("list-groups"), ...listing }),
  /** All from here on are answered with the {@link GroupReport} afterwards, except `browse`. */
  z.strictObject({ do: z.literal("show-group"), ...group }),
  z.strictObject({ do: z.literal("pause-group"), ...group }),
  z.strictObject({ do: z.literal("resume-group"), ...group }),
  /** Moves the group's place. What was leased or waited is forgotten, and leases are lost. */
  z.strictObject({ do: z.literal("reset-group"), ...group, to: from }),
  /** Forgets the group; its dead letters stay. */
  z.strictObject({ do: z.literal("delete-group"), ...group }),
  /** What the group has not settled, without leasing it; answered with a {@link Browsed}. */
  z.strictObject({
    do: z.literal("browse-group"),
    ...group,
    after: offset.optional(),
    limit: z.number().int().positive().max(browseMax).optional(),
  }),
  /** Gives the group its dead letters once more: all there are now. */
  z.strictObject({ do: z.literal("redrive"), ...group }),
  z.strictObject({ do: z.literal("cancel-redrive"), ...group }),
]);

export const namespaceReport = z.strictObject({
  namespace: z.string(),
  durability: z.enum(["memory", "process", "disk", "quorum"]),
  retention: z.strictObject({ ageMs: milliseconds.nullable(), bytes: z.number().int().nonnegative().nullable() }),
  ttlMs: milliseconds.optional(),
  epoch,
  /** The oldest offset that is kept, one past the newest where none is. */
  oldest: offset,
  newest: offset,
  /** Messages that wait for their time. */
  scheduled: z.number().int().nonnegative(),
});

export const channelReport = z.strictObject({
  channel,
  namespace: z.string(),
  /** Messages that are kept. */
  messages: z.number().int().nonnegative(),
});

export const sessionReport = z.strictObject({
  session: z.string(),
  user: z.string(),
  subscriber: z.string().optional(),
  address: z.string(),
  /** When it was welcomed. */
  since: milliseconds,
  /** When its token expires. */
  expires: milliseconds.optional(),
  subscriptions: z.number().int().nonnegative(),
  members: z.number().int().nonnegative(),
});

export const revoked = z.strictObject({
  /** Sessions that were ended. */
  sessions: z.number().int().nonnegative(),
});

/** How much there is between a place and the end of the log. */
const lag = z.strictObject({
  /** Messages that match and are not settled. */
  messages: z.number().int().nonnegative(),
  /** The age of the oldest of them; `null` where there is none. */
  ageMs: milliseconds.nullable(),
});

export const cursorReport = z.strictObject({
  user: z.string(),
  subscriber: z.string(),
  pattern,
  namespace: z.string(),
  position,
  /** When it last moved. */
  time: milliseconds,
  lag,
});

export const groupReport = z.strictObject({
  namespace: z.string(),
  group: groupName,
  pattern,
  policy: groupPolicy as z.ZodType<GroupPolicy>,
  paused: z.boolean(),
  /** Members that are connected. */
  members: z.number().int().nonnegative(),
  /** Everything that matches up to here was leased at least once, or waits its turn. */
  position,
  lag,
  /** Leased now. */
  inFlight: z.number().int().nonnegative(),
  /** Waiting for their next try. */
  delayed: z.number().int().nonnegative(),
  /** Dead letters that were not redriven. */
  dead: z.number().int().nonnegative(),
  deadChannel: channel,
  /** Messages that retention removed before any member saw them. */
  lost: z.number().int().nonnegative(),
  /** The last redrive, if there was one. */
  redrive: z
    .strictObject({
      state: z.enum(["running", "done", "cancelled"]),
      moved: z.number().int().nonnegative(),
      total: z.number().int().nonnegative(),
    })
    .optional(),
});

export const browsed = z.strictObject({
  messages: z.array(
    z.strictObject({
      offset,
      channel,
      time: milliseconds,
      expires: milliseconds.optional(),
      type: z.string().optional(),
      key: z.string().optional(),
      headers: z.record(z.string(), z.string()).optional(),
      data: z.unknown(),
      /** `blocked`: it waits for another of its key. `dying`: on its way to the dead letters. */
      state: z.enum(["waiting", "blocked", "leased", "delayed", "dying"]),
      deliveries: z.number().int().nonnegative(),
      failures: z.number().int().nonnegative(),
      /** What the last failure said. */
      error: z.string().optional(),
      /** When it is tried again. */
      due: milliseconds.optional(),
    }),
  ),
  /** Go on from here; equal to `head` at the end. */
  through: offset,
  head: offset,
});

export const namespaceList = z.strictObject({ namespaces: z.array(namespaceReport) });
export const channelList = z.strictObject({ channels: z.array(channelReport), next: z.string().optional() });
export const sessionList = z.strictObject({ sessions: z.array(sessionReport), next: z.string().optional() });
export const cursorList = z.strictObject({ cursors: z.array(cursorReport), next: z.string().optional() });
export const groupList = z.strictObject({ groups: z.array(groupReport), next: z.string().optional() });

export type Action = z.infer<typeof action>;
export type NamespaceReport = z.infer<typeof namespaceReport>;
export type NamespaceList = z.infer<typeof namespaceList>;
export type ChannelReport = z.infer<typeof channelReport>;
export type ChannelList = z.infer<typeof channelList>;
export type SessionReport = z.infer<typeof sessionReport>;
export type SessionList = z.infer<typeof sessionList>;
export type Revoked = z.infer<typeof revoked>;
export type Lag = z.infer<typeof lag>;
export type CursorReport = z.infer<typeof cursorReport>;
export type CursorList = z.infer<typeof cursorList>;
export type GroupReport = z.infer<typeof groupReport>;
export type GroupList = z.infer<typeof groupList>;
export type Browsed = z.infer<typeof browsed>;
