/** A nats-server with JetStream. */
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../measure.ts";
import { type Process, program, stopped } from "./process.ts";

export function natsAbsence(): string | undefined {
  return natsServer() === undefined ? "nats-server was not found: see NATS_SERVER" : undefined;
}

function natsServer(): string | undefined {
  return program("nats-server", "NATS_SERVER");
}

/** Listens on ports of its own choice: `url` is for clients of NATS. What is configured is added to what it needs. */
export async function startNats(folder: string, configuration = ""): Promise<Process & { readonly version: string }> {
  const path = natsServer() as string;
  const file = join(folder, "nats.conf");
  writeFileSync(file, configuration);
  const args = ["-c", file, "-js", "-sd", folder, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder];
  const child = spawn(path, args, { stdio: "ignore" });
  let urls: string[] = [];
  await until(() => {
    const ports = readdirSync(folder).find((name) => name.endsWith(`_${child.pid}.ports`));
    urls = ports === undefined ? [] : (JSON.parse(readFileSync(join(folder, ports), "utf8") || "{}").nats ?? []);
    return urls.length > 0;
  }, "starting nats-server");
  const version = execFileSync(path, ["--version"], { encoding: "utf8" }).trim();
  return { ...stopped(child), url: urls[0] as string, version };
}
