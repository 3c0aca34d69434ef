/** What those who come over HTTP are told of a hub that stops. */
import { expect, test } from "vitest";
import { RawSocket } from "../protocol/raw-socket.ts";
import { ask, startHub } from "./support.ts";

test("a hub says that it is ready, until it stops; what it has taken it answers (P-82)", async () => {
  const hub = await startHub();
  expect((await ask(hub, "GET /readyz")).json).toEqual({ ready: true });
  expect((await ask(hub, "GET /healthz")).json).toEqual({ alive: true });
  const [publishing, polling] = [await RawSocket.connect(hub), await RawSocket.connect(hub)];
  publishing.write(head("POST /publish/a", "Content-Type: application/json\r\nContent-Length: 2\r\n"));
  polling.write(head("GET /messages?pattern=a&waitMs=60000"));
  publishing.write("1");
  // Both are there: what comes later on their connections is answered later.
  await ask(hub, "GET /healthz");
  const closing = hub.close();

  await polling.untilText('"messages":[]}');
  polling.write(head("GET /readyz"));
  expect(await polling.untilText('"ready":false')).toContain("HTTP/1.1 503 Service Unavailable");
  expect(polling.received).toContain('"why":"draining"');
  publishing.write("2");
  expect(await publishing.untilText('"durability":"disk"}')).toContain("HTTP/1.1 200 OK");
  await closing;
});

test("a hub that stops takes nothing more (P-70, P-82)", async () => {
  const hub = await startHub();
  const [publishing, other] = [await RawSocket.connect(hub), await RawSocket.connect(hub)];
  publishing.write(head("POST /publish/a", "Content-Length: 2\r\n"));
  other.write(head("GET /messages?pattern=a&waitMs=60000"));
  await ask(hub, "GET /healthz");
  const closing = hub.close();
  await other.untilText('"messages":[]}');
  other.write(`${head("POST /publish/a", "Content-Length: 1\r\n")}1`);
  const answer = await other.untilText('"code":"draining"');
  expect(answer).toContain("HTTP/1.1 503 Service Unavailable");
  expect(answer.toLowerCase()).toContain("retry-after: 1");
  publishing.write("12");
  await closing;
});

test.each([
  ["one that ends the connection", head("GET /healthz", "Connection: close\r\n")],
  ["one that is refused", "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"],
  ["a stream", head("GET /events?pattern=a")],
  ["one that waits", head("GET /messages?pattern=a&waitMs=60000")],
])(
  "a hub that stops does not wait for what was asked behind %s over a connection that is gone (P-82)",
  async (_, first) => {
    const hub = await startHub({ limits: { drainMs: 3_600_000 } });
    const raw = await RawSocket.connect(hub);
    raw.write(first + head("GET /healthz").repeat(3));
    await ask(hub, "GET /healthz");
    raw.socket.resetAndDestroy();
    await raw.until(() => raw.closed);
    await ask(hub, "GET /healthz");
    await hub.close();
  },
);

function head(what: string, headers = ""): string {
  return `${what} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}
