/**
 * Resizes a folder of images with several worker processes:
 *
 *     node resize.js <folder> [--to <folder>] [--width 320] [--workers 4] [--kill]
 *
 * With --kill, one worker is killed on the way, and nothing is lost. It needs a hub: `npm start` in the repository, or
 * DOGEAR_URL.
 */
import { fork } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join, parse, resolve } from "node:path";
import { parseArgs } from "node:util";
import { connect } from "@dogear/client";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    to: { type: "string" },
    width: { type: "string", default: "320" },
    workers: { type: "string", default: "4" },
    kill: { type: "boolean", default: false },
  },
});
const [folder = "."] = positionals;
const from = resolve(folder);
const to = resolve(values.to ?? join(from, "thumbnails"));
const images = (await readdir(from)).filter((name) => /\.(jpe?g|png|webp|avif|gif|tiff?)$/i.test(name));
if (images.length === 0) {
  console.error(`There are no images in ${from}.`);
  process.exit(1);
}
await mkdir(to, { recursive: true });

const dogear = connect(process.env.DOGEAR_URL ?? "ws://127.0.0.1:7600");
const workers = Array.from({ length: Number(values.workers) }, () => fork(new URL("worker.js", import.meta.url)));
const run = crypto.randomUUID();
const unsettled = new Set(images);
let failed = 0;

// Both kinds of news, from now on; what belongs to another run is not counted.
const done = dogear.subscribe("images.resized", {}, ({ data }) => settle(data, `by worker ${data.by}`));
const dead = dogear.subscribe("images.resize.$dead.thumbnails", {}, ({ data, headers }) => {
  if (data.run === run) failed++;
  settle(data, `FAILED: ${headers["dogear-error"]}`);
});
await Promise.all([done.ready(), dead.ready()]);

const jobs = images.map((image) => {
  const target = join(to, `${parse(image).name}.webp`);
  const data = { run, image, source: join(from, image), target, width: Number(values.width) };
  return { channel: "images.resize", data, id: `${run}/${image}` };
});
for (const { status, reason } of await dogear.publishAll(jobs)) if (status === "rejected") throw reason;
console.log(`${images.length} images for ${workers.length} workers`);

function settle({ run: ofRun, image }, how) {
  if (ofRun !== run || !unsettled.delete(image)) return;
  console.log(`${images.length - unsettled.size}/${images.length} ${image} ${how}`);
  if (values.kill && images.length - unsettled.size === 3) {
    console.log(`Killing worker ${workers[0].pid}, whatever it is doing`);
    workers[0].kill("SIGKILL");
  }
  if (unsettled.size === 0) void stop();
}

async function stop() {
  for (const worker of workers) worker.kill("SIGTERM");
  await dogear.close();
  console.log(`${images.length - failed} resized, ${failed} failed`);
}
