import { join } from "node:path";
import { describe } from "vitest";
import { adapted } from "../support/deploy-files.ts";
import { program, succeed } from "../support/machine.ts";
import { freePorts } from "../support/ports.ts";
import { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { makeCertificate } from "./certificate.ts";
import type { StartReverseProxy } from "./reverse-proxy.ts";
import { serveThrough } from "./serving.ts";

const nginx = program("nginx") ?? "";

const start: StartReverseProxy = async (hubPort) => {
  const [folder, certificate] = [temporaryFolder(), makeCertificate()];
  const [http, https] = (await freePorts(2)) as [number, number];
  const file = adapted("nginx.conf", {
    "/run/nginx.pid": join(folder, "nginx.pid"),
    "/var/log/nginx/": `${folder}/`,
    "/etc/ssl/dogear/": `${certificate.folder}/`,
    "127.0.0.1:7600": `127.0.0.1:${hubPort}`,
    "listen 80;": `listen 127.0.0.1:${http};`,
    "listen [::]:80;": `listen [::1]:${http};`,
    "listen 443 ": `listen 127.0.0.1:${https} `,
    "listen [::]:443 ": `listen [::1]:${https} `,
    "worker_shutdown_timeout 30s": "worker_shutdown_timeout 1s",
  });
  const from = ["-c", file, "-e", join(folder, "error.log")];
  const running = new ChildProcess(nginx, [...from, "-g", "daemon off; error_log stderr notice;"]);
  await running.untilLine(/start worker process \d+/);
  return { ports: { http, https }, certificate, reload: () => succeed(nginx, [...from, "-s", "reload"]) };
};

describe.skipIf(nginx === "")("nginx with deploy/nginx.conf", () => serveThrough(start));
