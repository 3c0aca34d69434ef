/** A certificate that changes while the hub runs is shown to whoever connects from then on. */
import { copyFileSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { type Certificate, lookMs, readCertificate, watchCertificate } from "../../server/src/socket/certificate.ts";
import { makeCertificate } from "../deploy/certificate.ts";
import { VirtualClock } from "../hub/support.ts";
import { whenDone } from "../support/temp.ts";

const filesIn = (folder: string) => ({
  certificateFile: join(folder, "certificate.pem"),
  keyFile: join(folder, "key.pem"),
});

describe("a certificate", () => {
  it("is read again when its files have changed, and stays while they do not belong together", async () => {
    const { folder } = makeCertificate();
    const other = makeCertificate().folder;
    const files = filesIn(folder);
    const clock = new VirtualClock();
    const renewed: Certificate[] = [];
    whenDone(watchCertificate(files, { clock, logger: silentLogger }, (certificate) => renewed.push(certificate)));

    await clock.advance(3 * lookMs);
    expect(renewed).toEqual([]);

    // One file is replaced before the other, and by nonsense at first.
    replace(files.certificateFile, "nonsense", 1);
    await clock.advance(lookMs);
    copyFileSync(filesIn(other).certificateFile, files.certificateFile);
    touch(files.certificateFile, 2);
    await clock.advance(lookMs);
    expect(renewed).toEqual([]);

    copyFileSync(filesIn(other).keyFile, files.keyFile);
    touch(files.keyFile, 3);
    await clock.advance(lookMs);
    expect(renewed).toEqual([readCertificate(filesIn(other))]);
    expect(renewed[0]?.cert).toBe(readFileSync(filesIn(other).certificateFile, "utf8"));
    await clock.advance(3 * lookMs);
    expect(renewed).toHaveLength(1);
  });
});

function replace(file: string, text: string, age: number): void {
  writeFileSync(file, text);
  touch(file, age);
}

/** Each change has a time of its own, however fast the test is. */
function touch(file: string, age: number): void {
  utimesSync(file, age, age);
}
