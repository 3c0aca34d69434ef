/** A hub that speaks TLS itself. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { parseConfig, startServer } from "@dogear/server";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { mistakes } from "./support.ts";

let folder: string;

beforeAll(() => {
  folder = temporaryFolder();
  for (const name of ["one", "other"]) {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...files, ...subject], { cwd: folder, stdio: "ignore" });
  }
});

const tls = (certificateFile: string, keyFile: string): object => ({ listen: { tls: { certificateFile, keyFile } } });

test("the certificate and the key are found from the configuration's folder on, and are what it shows", async () => {
  const config = parseConfig(tls("one.pem", "one.key"), "dogear.json", folder);
  const hub = await startServer({ config, data: temporaryFolder(), port: 0, host: "localhost" });
  whenDone(() => hub.close());
  expect(hub.url).toBe(`wss://localhost:${hub.port}`);
  const socket = connect({ host: "localhost", port: hub.port, ca: readFileSync(join(folder, "one.pem")) });
  whenDone(() => void socket.destroy());
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  expect(socket.authorized).toBe(true);
});

test("a certificate and a key that do not belong together are a mistake", () => {
  const [says, ...more] = mistakes(tls("one.pem", "other.key"), folder);
  expect(more).toEqual([]);
  expect(says).toMatch(/^dogear\.json: listen\.tls has no certificate and key that belong together: .*mismatch/);
});

test("files that are not there, or hold something else, are a mistake", () => {
  expect(mistakes(tls("no.pem", "one.key"), folder)).toEqual([
    `dogear.json: listen.tls.certificateFile names ${folder}/no.pem, which is not there.`,
  ]);
  expect(mistakes(tls("one.key", "one.key"), folder).join()).toContain("listen.tls has no certificate and key");
});
