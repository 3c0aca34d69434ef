/** One worker: takes jobs that no other worker has, and makes thumbnails. Start as many as you like, anywhere. */
import { rename, rm } from "node:fs/promises";
import { connect } from "@dogear/client";
import sharp from "sharp";

const dogear = connect(process.env.DOGEAR_URL ?? "ws://127.0.0.1:7600");

const options = {
  group: "thumbnails",
  concurrency: 2,
  // How soon somebody else gets the images of a worker that died. Resizing may take longer: leases are extended.
  leaseMs: 3_000,
  maxFailures: 3,
  backoff: { minMs: 200 },
};

const worker = dogear.work("images.resize", options, async (message) => {
  const { source, target, width } = message.data;
  // Done twice, it is the same: half a file never has the target's name.
  const unfinished = `${target}.${process.pid}`;
  try {
    await sharp(source).resize({ width }).toFile(unfinished);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { force: true });
    // No other try will read what is no image. Anything else, such as a full disk, may pass: throwing tries again.
    if (/unsupported image format|corrupt|Input file/.test(error.message)) return message.reject(error.message);
    throw error;
  }
  await dogear.publish("images.resized", { ...message.data, by: process.pid });
});

// Finishes what it has begun and gives back the rest.
process.once("SIGTERM", () => dogear.close());
await worker.ended;
