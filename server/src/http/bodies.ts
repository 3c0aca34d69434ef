/** Reads the body of a request, and no more of it than may be. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { dogearError } from "@dogear/shared";
import { shortened } from "../codec/mistakes.ts";

/** Whoever asked is gone, so nobody waits for an answer. */
export class HungUp extends Error {}

/**
 * The whole body. One that says it is too large is refused unread; one that turns out to be is read no further.
 *
 * @throws DogearError `message-too-large`, `invalid-request`; HungUp
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = () => reject(dogearError("message-too-large", `A body has ${bytesMax} bytes at most.`));
    const { "content-length": length, "content-encoding": encoding = "identity" } = request.headers;
    if (encoding !== "identity") return reject(dogearError("invalid-request", "The body is encoded."));
    if (Number(length) > bytesMax) return tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes <= bytesMax) return;
      request.off("data", take);
      tooLarge();
    };
    const hungUp = () => reject(new HungUp());
    request.on("data", take);
    request.once("error", hungUp);
    request.once("close", hungUp);
    request.once("end", () => {
      // A request closes when it is over, too.
      request.off("close", hungUp);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
  });
}

/**
 * What JSON text says.
 *
 * @throws DogearError `invalid-payload`
 */
export function parseJson(text: Buffer): unknown {
  if (!isUtf8(text)) throw dogearError("invalid-payload", "It is not UTF-8.");
  try {
    return JSON.parse(text.toString());
  } catch (error) {
    throw dogearError("invalid-payload", `${shortened((error as Error).message)}.`, { cause: error });
  }
}

/** The media type of a body without its parameters, and the charset if it names one. */
export function mediaTypeOf(request: IncomingMessage): { readonly type: string; readonly charset: string | undefined } {
  const [type = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";");
  const charset = parameters.map((parameter) => parameter.trim()).find((one) => one.startsWith("charset="));
  return { type: type.trim(), charset: charset?.slice("charset=".length).replaceAll('"', "") };
}
