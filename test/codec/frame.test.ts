/** What the hub frames by itself, read by the library that clients read it with. */

import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { textFrame, textFrameInPieces } from "../../server/src/codec/frame.ts";
import { acceptOf } from "../protocol/raw-socket.ts";
import { whenDone } from "../support/temp.ts";

describe("a text frame", () => {
  it.each([
    [0, [0x81, 0]],
    [125, [0x81, 125]],
    [126, [0x81, 126, 0, 126]],
    [65_535, [0x81, 126, 0xff, 0xff]],
    [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ])("of %d bytes says so as RFC 6455 has it", (length, header) => {
    const frame = textFrame(["x".repeat(length)]);
    expect([...frame.subarray(0, header.length)]).toEqual(header);
    expect(frame).toHaveLength(header.length + length);
  });

  it("is made of its parts, in order, each byte as it was", () => {
    const umlaut = Buffer.from("ü");
    expect(textFrame(["ab", umlaut, "", Buffer.alloc(0), "c"])).toEqual(
      Buffer.concat([Buffer.from([0x81, 5]), Buffer.from("abüc")]),
    );
  });

  it("in pieces is the same bytes, and what is large is not copied", () => {
    const [large, small, larger] = [Buffer.alloc(4_096, "l"), Buffer.alloc(4_095, "s"), Buffer.alloc(70_000, "r")];
    const parts: (string | Buffer)[] = ["head", large, ",", small, ",", larger, "]}"];
    const pieces = textFrameInPieces(parts);
    expect(Buffer.concat(pieces)).toEqual(textFrame(parts));
    expect(pieces.map((piece) => parts.indexOf(piece))).toEqual([-1, 1, -1, 5, -1]);
    expect(textFrameInPieces(["a", small])).toHaveLength(1);
  });

  it("of every length around the borders is read by a client as it was meant", async () => {
    const texts = [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537].map((length) => "x".repeat(length));
    expect(await readByClient(texts.map((text) => textFrame([text])))).toEqual(texts);
  });
});

/** Sends frames to a real client, all in one piece. */
async function readByClient(frames: readonly Buffer[]): Promise<string[]> {
  const server = createServer((socket) => {
    socket.once("data", (request) => {
      const key = /Sec-WebSocket-Key: (\S+)/i.exec(request.toString())?.[1] ?? "";
      const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), ...frames]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  whenDone(() => {
    client.terminate();
    server.close();
  });
  const read: string[] = [];
  await new Promise<void>((resolve, reject) => {
    client.on("error", reject);
    client.on("message", (message) => {
      read.push(String(message));
      if (read.length === frames.length) resolve();
    });
  });
  return read;
}
