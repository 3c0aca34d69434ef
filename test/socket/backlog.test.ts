/** Everybody comes back at once: a hub that is busy keeps them waiting, and turns nobody away. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startHubProcess } from "../support/hub-process.ts";
import { missing } from "../support/machine.ts";
import { temporaryFolder } from "../support/temp.ts";

/** More than Node asks for by itself, which is 511. */
const many = 1_500;

/** What the kernel lets wait, whatever a hub asks for. */
const allowed = Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
const isAllowed = allowed > many || missing(`net.core.somaxconn is ${allowed}. What needs more is skipped.`);

test.skipIf(!isAllowed)("a hub that does nothing for a while lets very many wait for it", async () => {
  const hub = await startHubProcess({ data: join(temporaryFolder(), "data") });
  const sockets: Socket[] = [];
  hub.process.signal("SIGSTOP");
  try {
    const connected = Array.from({ length: many }, () => {
      const socket = connect(hub.port, "127.0.0.1");
      sockets.push(socket);
      return new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    });
    await Promise.all(connected);
    expect(sockets.every(({ readyState }) => readyState === "open")).toBe(true);
  } finally {
    hub.process.signal("SIGCONT");
    for (const socket of sockets) socket.destroy();
    await hub.stop();
  }
});
