/** A certificate for the name that the files of `deploy/` give the hub, signed by itself. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../support/temp.ts";

export const hubName = "hub.example.com";

export interface Certificate {
  /** The folder of `certificate.pem` and `key.pem`. */
  readonly folder: string;
  /** What clients trust. */
  readonly ca: Buffer;
}

export function makeCertificate(): Certificate {
  const folder = temporaryFolder();
  const file = join(folder, "certificate.pem");
  const subject = ["-subj", `/CN=${hubName}`, "-addext", `subjectAltName=DNS:${hubName}`];
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    join(folder, "key.pem"),
  ];
  execFileSync("openssl", ["req", "-x509", "-days", "1", ...key, "-out", file, ...subject], { stdio: "pipe" });
  return { folder, ca: readFileSync(file) };
}
