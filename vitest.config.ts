import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What `npm run check` runs: it reads sources and documents and opens no socket. */
const check = ["test/architecture.test.ts", "test/docs/!(readme).test.ts"];

export default defineConfig({
  resolve: {
    // Tests run the sources; only what they start as a process runs from dist. Of two names the longer comes first.
    alias: {
      "@dogear/shared/envelopes": source("shared/src/envelopes.ts"),
      "@dogear/shared": source("shared/src/index.ts"),
      "@dogear/client/admin": source("client/src/admin.ts"),
      "@dogear/client": source("client/src/node.ts"),
      "@dogear/server": source("server/src/index.ts"),
    },
  },
  test: {
    // Processes, not threads: LMDB is native code, and a test that crashes should take nothing along but its file.
    pool: "forks",
    maxWorkers: 3,
    // A process runs one file after another, so that what they import is loaded once. Each cleans up after itself.
    isolate: false,
    setupFiles: "test/support/clean.ts",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // The report is what .ci/run counts from; the summary for people is the last thing printed.
    reporters: process.env.CI ? [["json", { outputFile: "test/dist/report.json" }], "default"] : ["default"],
    projects: [
      { extends: true, test: { name: "check", include: check } },
      { extends: true, test: { name: "test", include: ["test/**/*.test.ts"], exclude: ["**/dist/**", ...check] } },
      { extends: true, test: { name: "dockerfile", include: ["test/deploy/dockerfile.try.ts"] } },
    ],
  },
});
