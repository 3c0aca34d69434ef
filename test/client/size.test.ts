import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import type { WebSocketConstructor } from "../../client/src/index.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Bundle {
  readonly contents: Uint8Array;
  /** The sources in it. */
  readonly inputs: readonly string[];
}

/** As scripts/bundle.js builds them: what everybody loads, and what is loaded when it is asked for. */
let entry: Bundle;
let annex: Bundle;

beforeAll(async () => {
  entry = await bundle("client/src/index.ts", {
    name: "set the annex apart",
    setup: ({ onResolve }) =>
      onResolve({ filter: /\/annex\.ts$/ }, ({ kind }) =>
        kind === "dynamic-import" ? { path: "./dogear.annex.min.js", external: true } : null,
      ),
  });
  annex = await bundle("client/src/annex.ts");
});

describe("the browser's bundle", () => {
  test("has at most 8 KB, and nothing of zod, ws or the annex", () => {
    const bytes = gzipSync(entry.contents, { level: 9 }).length;
    console.log(`@dogear/client: ${bytes} bytes min+gzip`);
    expect(entry.inputs.filter((path) => /node_modules|zod|envelopes|annex|work\/member/.test(path))).toEqual([]);
    expect(bytes).toBeLessThanOrEqual(8_192);
  });

  test("leaves the rest to an annex that brings no errors of its own", () => {
    const bytes = gzipSync(annex.contents, { level: 9 }).length;
    console.log(`@dogear/client, when it works or asks: ${bytes} bytes min+gzip more`);
    const offences = /node_modules|zod|envelopes|errors|sentences|failure|connection\/driver/;
    expect(annex.inputs.filter((path) => offences.test(path))).toEqual([]);
  });

  test("finds its annex beside it, and errors from there are the same", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dogear-bundle-"));
    try {
      await writeFile(join(folder, "dogear.min.mjs"), entry.contents);
      await writeFile(join(folder, "dogear.annex.min.js"), annex.contents);
      await writeFile(join(folder, "package.json"), '{"type":"module"}');
      const bundled = (await import(
        pathToFileURL(join(folder, "dogear.min.mjs")).href
      )) as typeof import("../../client/src/index.ts");
      const dogear = bundled.connect("ws://hub", { WebSocket: RefusingWebSocket as unknown as WebSocketConstructor });
      const worker = dogear.work("a.>", { group: "g" });
      await expect(worker.ended).rejects.toBeInstanceOf(bundled.DogearError);
      await expect(worker.ended).rejects.toMatchObject({ code: "group-differs" });
      await dogear.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A hub that says no to whoever wants to work. */
class RefusingWebSocket extends EventTarget {
  binaryType = "";

  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }

  send(frame: unknown): void {
    for (const { is, member } of [JSON.parse(String(frame))].flat())
      if (is === "work") this.#say({ is: "error", code: "group-differs", message: "No.", member });
  }

  close(): void {}

  #say(envelope: object): void {
    queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(envelope) })));
  }
}

async function bundle(from: string, ...plugins: readonly Plugin[]): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [from],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    alias: { "@dogear/shared": `${root}shared/src/index.ts` },
    plugins: [...plugins],
    metafile: true,
    write: false,
  });
  const [output] = Object.values(metafile.outputs);
  const used = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return { contents: outputFiles[0]?.contents ?? new Uint8Array(), inputs: used.map(([path]) => path) };
}
