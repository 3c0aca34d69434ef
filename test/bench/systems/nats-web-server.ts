/** One nats-server with a WebSocket, with or without JetStream. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, peerProgram, server, unless } from "./peer.ts";
import type { Process } from "./process.ts";

export const natsAbsence = (): string | undefined => unless(peerProgram("nats-server"), "nats-server");

export async function natsWebServer(folder: string, jetstream: string): Promise<Process & { version: string }> {
  const command = peerProgram("nats-server") as string;
  const [port, webPort] = [await freePort(), await freePort()];
  const file = join(folder, "nats.conf");
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"
websocket { listen: "127.0.0.1:${webPort}", no_tls: true, compression: false }
write_deadline: "60s"
max_pending: 268435456
${jetstream}
`,
  );
  const started = await server(command, ["-c", file], { folder, port: webPort });
  const version = /[\d.]+$/.exec(execFileSync(command, ["--version"], { encoding: "utf8" }).trim())?.[0] ?? "";
  return { ...started, url: `ws://127.0.0.1:${webPort}/`, version };
}
