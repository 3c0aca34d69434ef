/** The example in `examples/resize-images`, run as its README says: real images, real processes, one of them killed. */
import { copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { startHub } from "../support/hub.ts";
import { startScript } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { temporaryFolder } from "../support/temp.ts";

const script = join(repository, "examples/resize-images/resize.js");

test("every image is resized although a worker is killed, and what is no image is told", async () => {
  const hub = await startHub();
  const from = temporaryFolder();
  const to = join(temporaryFolder(), "thumbnails");
  const create = { width: 640, height: 480, channels: 3, background: "teal" } as const;
  await sharp({ create }).jpeg().toFile(join(from, "0.jpg"));
  for (let i = 1; i < 24; i++) copyFileSync(join(from, "0.jpg"), join(from, `${i}.jpg`));
  writeFileSync(join(from, "notes.png"), "not an image");

  const args = [from, "--to", to, "--width", "64", "--workers", "3", "--kill"];
  const run = startScript(script, args, { env: { ...process.env, DOGEAR_URL: hub.url } });
  await run.untilLine(/^Killing worker/);
  expect(await run.exited, run.stderr).toMatchObject({ code: 0 });

  expect(run.stdout).toMatch(/notes\.png FAILED: .*unsupported image format/);
  expect(run.stdout).toMatch(/^24 resized, 1 failed$/m);
  const images = readdirSync(to).filter((name) => name.endsWith(".webp"));
  expect(images).toHaveLength(24);
  for (const image of images) expect(await sharp(join(to, image)).metadata()).toMatchObject({ width: 64, height: 48 });
});
