/** Every metric of a hub and what it says. The table in OPERATIONS.md is made of this one. */

export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels?: readonly string[];
  readonly help: string;
}

export const metricTable = {
  dogear_sessions: { type: "gauge", help: "Sessions that are open." },
  dogear_subscriptions: { type: "gauge", help: "Subscriptions of all sessions." },
  dogear_members: { type: "gauge", help: "Members of groups, of all sessions." },
  dogear_catching_up: {
    type: "gauge",
    help: "Subscriptions that wait for their turn to read the log, because they are behind.",
  },
  dogear_outbox_bytes: {
    type: "gauge",
    help: "Bytes that wait for connections to take them, of all sessions together.",
  },
  dogear_received_bytes_total: { type: "counter", help: "Bytes of WebSocket messages that arrived." },
  dogear_sent_bytes_total: { type: "counter", help: "Bytes of WebSocket frames that were sent." },
  dogear_connections_refused_total: {
    type: "counter",
    labels: ["code"],
    help: "Connections that were turned away before they became a session, by error.",
  },
  dogear_sessions_closed_total: {
    type: "counter",
    labels: ["code"],
    help: "Sessions that the hub ended, by error.",
  },
  dogear_logins_total: {
    type: "counter",
    labels: ["outcome"],
    help: "Tokens and keys that were shown: accepted, or the error they were refused with.",
  },
  dogear_limit_hits_total: {
    type: "counter",
    labels: ["limit"],
    help: "How often a limit kept somebody from something, by its name in the configuration.",
  },
  dogear_published_messages_total: {
    type: "counter",
    help: "Drafts of clients that were acknowledged, retries among them.",
  },
  dogear_published_bytes_total: {
    type: "counter",
    help: "Bytes of drafts that were acknowledged: payloads, keys and headers.",
  },
  dogear_publishes_refused_total: {
    type: "counter",
    labels: ["code"],
    help: "Drafts of clients that were refused, by error.",
  },
  dogear_delivered_messages_total: {
    type: "counter",
    help: "Messages that were sent, counted once for each session, and again where they are sent again.",
  },
  dogear_delivered_bytes_total: { type: "counter", help: "Bytes of the frames that messages were sent in." },
  dogear_log_flush_seconds: {
    type: "histogram",
    help: "How long the log took to write a commit and flush it to the disk.",
  },
  dogear_log_commit_messages: { type: "histogram", help: "Messages that shared a commit of the log." },
  dogear_log_writable: {
    type: "gauge",
    help: "1 while a publish can be acknowledged; 0 while the disk is full or has failed.",
  },
  dogear_disk_free_bytes: {
    type: "gauge",
    help: "What is free on the disk of the data. Publishing stops below 64 MiB.",
  },
  dogear_groups: { type: "gauge", help: "Groups." },
  dogear_groups_without_lag: {
    type: "gauge",
    help: "Groups whose lag is not told, because there are more than 100 or the log could not be read.",
  },
  dogear_group_lag_messages: {
    type: "gauge",
    labels: ["namespace", "group"],
    help: "Messages that a group has not settled.",
  },
  dogear_group_lag_seconds: {
    type: "gauge",
    labels: ["namespace", "group"],
    help: "Age of the oldest message that a group has not settled; 0 where there is none.",
  },
} as const;

export type MetricName = keyof typeof metricTable;

export type NameOf<T extends MetricSpec["type"]> = {
  [N in MetricName]: (typeof metricTable)[N]["type"] extends T ? N : never;
}[MetricName];
