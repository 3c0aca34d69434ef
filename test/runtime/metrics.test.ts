import { describe, expect, it } from "vitest";
import { metricTable } from "../../server/src/runtime/metric-table.ts";
import { type GroupLags, Metrics } from "../../server/src/runtime/metrics.ts";
import { Door } from "../support/waiting.ts";

/** The lines of one metric, without its comments. */
async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  return (await metrics.text()).split("\n").filter((line) => line.startsWith(name));
}

describe("the text", () => {
  it("has every metric of the table with its help, and those of the process", async () => {
    const text = await new Metrics().text();
    for (const [name, { help, type }] of Object.entries(metricTable)) {
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    }
    for (const name of ["process_resident_memory_bytes", "process_open_fds", "nodejs_eventloop_lag_p99_seconds"]) {
      expect(text).toMatch(new RegExp(`^${name} [0-9.e-]+$`, "m"));
    }
    expect(text).toMatch(/[^\n]\n$/);
  });

  it("says what it is", () => {
    expect(new Metrics().contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  it("is each hub's own, however many live in a process", async () => {
    const [one, other] = [new Metrics(), new Metrics()];
    one.published(3, 300);
    other.published(1, 100);
    one.limitHit("errorsMax");
    expect(await linesOf(one, "dogear_published_messages_total")).toEqual(["dogear_published_messages_total 3"]);
    expect(await linesOf(other, "dogear_published_messages_total")).toEqual(["dogear_published_messages_total 1"]);
    expect(await linesOf(other, "dogear_limit_hits_total")).toEqual([]);
  });
});

describe("what is counted", () => {
  it("grows by what is said", async () => {
    const metrics = new Metrics();
    for (const messages of [10, 20]) {
      metrics.delivered(messages, messages * 100);
      metrics.published(messages, messages * 7);
      metrics.received(messages);
      metrics.sent(messages * 2);
    }
    // Read twice, because reading must change nothing.
    await metrics.text();
    const text = await metrics.text();
    for (const line of [
      "dogear_delivered_messages_total 30",
      "dogear_delivered_bytes_total 3000",
      "dogear_published_messages_total 30",
      "dogear_published_bytes_total 210",
      "dogear_received_bytes_total 30",
      "dogear_sent_bytes_total 60",
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
  });

  it("has the label that tells what it was", async () => {
    const metrics = new Metrics();
    metrics.publishRefused("disk-full");
    metrics.publishRefused("disk-full");
    metrics.publishRefused("forbidden");
    metrics.connectionRefused("origin-refused");
    metrics.login("accepted");
    metrics.login("token-expired");
    metrics.limitHit("subscriptionsMax");
    expect(await linesOf(metrics, "dogear_publishes_refused_total")).toEqual([
      'dogear_publishes_refused_total{code="disk-full"} 2',
      'dogear_publishes_refused_total{code="forbidden"} 1',
    ]);
    expect(await linesOf(metrics, "dogear_connections_refused_total")).toEqual([
      'dogear_connections_refused_total{code="origin-refused"} 1',
    ]);
    expect(await linesOf(metrics, "dogear_logins_total")).toEqual([
      'dogear_logins_total{outcome="accepted"} 1',
      'dogear_logins_total{outcome="token-expired"} 1',
    ]);
    expect(await linesOf(metrics, "dogear_limit_hits_total")).toEqual([
      'dogear_limit_hits_total{limit="subscriptionsMax"} 1',
    ]);
  });

  it("tells commits by their size and time, in seconds", async () => {
    const metrics = new Metrics();
    metrics.committed(300, 1.5);
    expect(await linesOf(metrics, "dogear_log_flush_seconds_sum")).toEqual(["dogear_log_flush_seconds_sum 0.0015"]);
    expect(await linesOf(metrics, 'dogear_log_commit_messages_bucket{le="256"}')).toEqual([
      'dogear_log_commit_messages_bucket{le="256"} 0',
    ]);
    expect(await linesOf(metrics, 'dogear_log_commit_messages_bucket{le="1024"}')).toEqual([
      'dogear_log_commit_messages_bucket{le="1024"} 1',
    ]);
  });
});

describe("what is watched", () => {
  it("is looked at when somebody reads, and only then", async () => {
    const metrics = new Metrics();
    let looks = 0;
    metrics.watch({
      sessions: () => ({ sessions: ++looks, subscriptions: 20, members: 3, outboxBytes: 4_000 }),
      catchingUp: () => 5,
    });
    metrics.watch({ engine: () => ({ writable: true, freeBytes: 6e9 }) });
    expect(looks).toBe(0);
    await metrics.text();
    const text = await metrics.text();
    expect(looks).toBe(2);
    for (const line of [
      "dogear_sessions 2",
      "dogear_subscriptions 20",
      "dogear_members 3",
      "dogear_outbox_bytes 4000",
      "dogear_catching_up 5",
      "dogear_log_writable 1",
      "dogear_disk_free_bytes 6000000000",
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
  });

  it("is looked at once for all who ask at once", async () => {
    const metrics = new Metrics();
    const door = new Door();
    metrics.watch({ groups: () => door.pass().then(() => ({ count: 0, lags: [] })) });
    const asked = [metrics.text(), metrics.text(), metrics.text()];
    door.open();
    const [first, ...others] = await Promise.all(asked);
    expect(others).toEqual([first, first]);
    expect(door.arrivals.items).toHaveLength(1);
  });

  it("may fail once without failing ever after", async () => {
    const metrics = new Metrics();
    let failing = true;
    metrics.watch({ groups: async () => (failing ? Promise.reject(new Error("no")) : { count: 1, lags: [] }) });
    await expect(metrics.text()).rejects.toThrow("no");
    failing = false;
    expect(await linesOf(metrics, "dogear_groups ")).toEqual(["dogear_groups 1"]);
  });

  it("tells the lag of groups in seconds, how many have none told, and forgets those that are gone", async () => {
    const metrics = new Metrics();
    let lags: GroupLags = {
      count: 3,
      lags: [
        { namespace: "default", group: "billing", messages: 7, ageMs: 1_500 },
        { namespace: "default", group: "idle", messages: 0, ageMs: null },
      ],
    };
    metrics.watch({ groups: async () => lags });
    expect(await linesOf(metrics, "dogear_group")).toEqual([
      "dogear_groups 3",
      "dogear_groups_without_lag 1",
      'dogear_group_lag_messages{namespace="default",group="billing"} 7',
      'dogear_group_lag_messages{namespace="default",group="idle"} 0',
      'dogear_group_lag_seconds{namespace="default",group="billing"} 1.5',
      'dogear_group_lag_seconds{namespace="default",group="idle"} 0',
    ]);
    lags = { count: 0, lags: [] };
    expect(await linesOf(metrics, "dogear_group")).toEqual(["dogear_groups 0", "dogear_groups_without_lag 0"]);
  });
});
