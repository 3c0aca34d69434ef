/** A real Chromium, where this machine has one. */
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { isExecutable } from "../support/machine.ts";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The one that `CHROMIUM` names, or the first that is installed. */
export function findChromium(): string | undefined {
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  const installed = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  const { CHROMIUM } = process.env;
  return (CHROMIUM ? [CHROMIUM] : installed).find(isExecutable);
}

export function launch(executablePath: string): Promise<Browser> {
  const quiet = ["quic", "background-networking", "component-update", "sync", "gpu"].map((name) => `--disable-${name}`);
  return chromium.launch({ executablePath, headless: true, args: ["--no-sandbox", "--no-first-run", ...quiet] });
}
