/** The hub's own TLS: those who do not speak it, and those who only begin to. */
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { hubName, makeCertificate } from "../deploy/certificate.ts";
import { RawSocket, upgrade } from "../protocol/raw-socket.ts";
import { startHub } from "../protocol/support.ts";
import { whenDone } from "../support/temp.ts";
import { tokenConfig } from "../support/tokens.ts";

async function secured(limits: Readonly<Record<string, number>>) {
  const { folder, ca } = makeCertificate();
  const tls = { certificateFile: join(folder, "certificate.pem"), keyFile: join(folder, "key.pem") };
  const hub = await startHub({ ...tokenConfig, listen: { tls }, limits });
  return { hub, ca };
}

/** What a client with the certificate is answered to its handshake. */
function status({ hub, ca }: Awaited<ReturnType<typeof secured>>): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: hub.port, ca, servername: hubName });
  whenDone(() => void socket.destroy());
  return new Promise((resolve) => {
    socket.on("error", () => resolve("cut off")).on("close", () => resolve("cut off"));
    socket.once("secureConnect", () => socket.write(upgrade()));
    socket.once("data", (data) => resolve(String(data).slice(9, 12)));
  });
}

/** The beginning of a TLS handshake. */
const clientHello = Buffer.from("16030100c8010000c40303", "hex");

describe("a hub that speaks TLS", () => {
  it("hangs up on those who do not, and on those who begin and do not go on", async () => {
    const world = await secured({ helloTimeoutMs: 500 });
    const beginnings = [upgrade(), "GET / HTTP/1.0\r\n\r\n", "", clientHello, Buffer.alloc(2_000, 0x16), "\0"];
    const all = await Promise.all(
      beginnings.map(async (bytes) => {
        const raw = await RawSocket.connect(world.hub);
        raw.write(bytes);
        return raw;
      }),
    );
    for (const raw of all) await raw.until(() => raw.ended);
    for (const { received } of all) expect(received).not.toContain("HTTP/1.1 101");
    expect(await status(world)).toBe("101");
  });

  it("counts connections before they have shaken hands, and forgets those that never do (P-84)", async () => {
    const world = await secured({ helloTimeoutMs: 500, connectionsMax: 3 });
    const silent = await Promise.all([1, 2, 3].map(() => RawSocket.connect(world.hub)));
    expect(await status(world)).toBe("cut off");
    await Promise.all(silent.map((raw) => raw.until(() => raw.ended)));
    await expect.poll(() => status(world)).toBe("101");
  });

  it("is not hurt by those who reset their connections in the middle", async () => {
    const world = await secured({ helloTimeoutMs: 500 });
    for (let i = 0; i < 30; i++) {
      const raw = await RawSocket.connect(world.hub);
      raw.write(clientHello.subarray(0, i % clientHello.length));
      raw.socket.resetAndDestroy();
    }
    const socket = connect({ host: "127.0.0.1", port: world.hub.port, ca: world.ca, servername: hubName });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    socket.write(upgrade());
    socket.on("error", () => {}).destroy();
    expect(await status(world)).toBe("101");
  });
});
