/** The certificate that the hub shows, and its key: read from files, and again when they change, since they do every few weeks. */
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";

/** In PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** How often the files are looked at. */
export const lookMs = 10_000;

/** Throws where a file cannot be read, or where the two do not belong together. */
export function readCertificate({ certificateFile, keyFile }: CertificateFiles): Certificate {
  const certificate = { cert: readFileSync(certificateFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  createSecureContext(certificate);
  return certificate;
}

/**
 * Calls with each new certificate, until the function that it returns is called. While the files do not belong together, as
 * while they are being replaced, the old certificate stays.
 */
export function watchCertificate(
  files: CertificateFiles,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  renewed: (certificate: Certificate) => void,
): () => void {
  let seen = changed(files);
  let cancel = () => {};
  const look = () => {
    cancel = clock.after(lookMs, look);
    try {
      const now = changed(files);
      if (now === seen) return;
      renewed(readCertificate(files));
      seen = now;
      logger.info("certificate.renewed", { file: files.certificateFile });
    } catch (error) {
      logger.error("certificate.not-read", { file: files.certificateFile, error });
    }
  };
  cancel = clock.after(lookMs, look);
  return () => cancel();
}

/** When the files changed last. */
function changed({ certificateFile, keyFile }: CertificateFiles): string {
  return [certificateFile, keyFile].map((file) => statSync(file).mtimeMs).join(" ");
}
