import { describe } from "vitest";
import { adapted } from "../support/deploy-files.ts";
import { program, succeed } from "../support/machine.ts";
import { freePorts } from "../support/ports.ts";
import { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { makeCertificate } from "./certificate.ts";
import type { StartReverseProxy } from "./reverse-proxy.ts";
import { serveThrough } from "./serving.ts";

const caddy = program("caddy") ?? "";

const start: StartReverseProxy = async (hubPort) => {
  const [folder, certificate] = [temporaryFolder(), makeCertificate()];
  const [http, https, admin] = (await freePorts(3)) as [number, number, number];
  const file = adapted("Caddyfile", {
    "admin localhost:2019": `admin localhost:${admin}`,
    "http_port 80": `http_port ${http}`,
    "https_port 443": `https_port ${https}`,
    "/etc/ssl/dogear/": `${certificate.folder}/`,
    "127.0.0.1:7600": `127.0.0.1:${hubPort}`,
  });
  const from = ["--config", file, "--adapter", "caddyfile"];
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const running = new ChildProcess(caddy, ["run", ...from], { env });
  await running.untilLine(/serving initial configuration/);
  return { ports: { http, https }, certificate, reload: () => succeed(caddy, ["reload", "--force", ...from], { env }) };
};

describe.skipIf(caddy === "")("Caddy with deploy/Caddyfile", () => serveThrough(start));
