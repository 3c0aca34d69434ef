import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("the browser's bundle has at most 8 KB, and nothing of zod or ws", async () => {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["client/src/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    alias: { "@dogear/shared": `${root}shared/src/index.ts` },
    metafile: true,
    write: false,
  });
  const bytes = gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length;
  console.log(`@dogear/client: ${bytes} bytes min+gzip`);
  expect(Object.keys(metafile.inputs).filter((path) => /node_modules|zod|envelopes/.test(path))).toEqual([]);
  expect(bytes).toBeLessThanOrEqual(8_192);
});
