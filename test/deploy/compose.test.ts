/** compose.yaml and the files it mounts: several hubs on three nats-servers, behind nginx. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { dogear } from "../command/support.ts";
import { adapted, original } from "../support/deploy-files.ts";
import { clientOf, happening } from "../support/hub.ts";
import { startHubProcess } from "../support/hub-process.ts";
import { program } from "../support/machine.ts";
import { natsArguments, natsServer, startNats } from "../support/nats.ts";
import { freePorts } from "../support/ports.ts";
import { ChildProcess } from "../support/process.ts";
import { repository } from "../support/sources.ts";
import { temporaryFolder } from "../support/temp.ts";
import { Collected } from "../support/waiting.ts";

interface Service {
  readonly command?: readonly string[];
  readonly build?: string;
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly depends_on?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const compose = parse(readFileSync(join(repository, "compose.yaml"), "utf8")) as Compose;
const named = (prefix: string) => Object.keys(compose.services).filter((name) => name.startsWith(prefix));
const [servers, hubs] = [named("nats-"), named("hub-")];

/** Where a service finds what is mounted from a place. */
const mounts = Object.values(compose.services).flatMap(({ volumes = [] }) =>
  volumes.map((volume) => volume.split(":")),
);

describe("compose.yaml", () => {
  test("mounts and builds from files that are there, and names what it has", () => {
    for (const [source = ""] of mounts) {
      if (source.startsWith("./")) expect(existsSync(join(repository, source)), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
    for (const { build, depends_on = [], secrets = [] } of Object.values(compose.services)) {
      if (build !== undefined) expect(existsSync(join(repository, build, "Dockerfile"))).toBe(true);
      for (const name of depends_on) expect(Object.keys(compose.services)).toContain(name);
      for (const name of secrets) expect(Object.keys(compose.secrets)).toContain(name);
    }
  });

  test("starts nats-servers as the tests do, with the same configuration", () => {
    const routes = servers.map((name) => `nats://${name}:6222`);
    expect(servers).toHaveLength(3);
    for (const name of servers) {
      const cluster = { url: "nats://0.0.0.0:6222", routes };
      const place = { name, config: "/etc/nats/nats.conf", store: "/data", address: "0.0.0.0", port: 4_222, cluster };
      expect(compose.services[name]?.command).toEqual(natsArguments(place));
      expect(compose.services[name]?.volumes).toEqual(["./deploy/nats.conf:/etc/nats/nats.conf:ro", `${name}:/data`]);
    }
  });

  test("starts hubs with a configuration that is in order, on all of the servers", async () => {
    const secretFile = join(temporaryFolder(), "secret");
    writeFileSync(secretFile, "R2l2ZSBtZSBhIHBsYWNlIHRvIHN0YW5kIG9uLCBhbmQgSSB3aWxs");
    const file = adapted("hubs.json", { "/run/secrets/dogear": secretFile });
    for (const name of hubs) {
      const [command, ...args] = compose.services[name]?.command ?? [];
      expect(command).toBe("serve");
      const here = args.map((arg) => (arg === "/etc/dogear/hubs.json" ? file : arg));
      expect(await dogear(["config", "check", ...here])).toMatchObject({ code: 0, stderr: "" });
    }
    const { engine, jetstream } = JSON.parse(original("hubs.json"));
    expect(engine).toEqual(servers.map((name) => `nats://${name}:4222`));
    const [, monitorPort] = original("nats.conf").match(/^http_port: (\d+)$/m) ?? [];
    expect(jetstream.monitors).toEqual(servers.map((name) => `http://${name}:${monitorPort}`));
    expect(jetstream.replicas).toBe(servers.length);
  });

  test("has nginx pass everything to the hubs", () => {
    const upstream = Array.from(original("nginx-hubs.conf").matchAll(/^ *server ([\w-]+):7600/gm), ([, name]) => name);
    expect(upstream).toEqual(hubs);
    expect(compose.services.nginx?.volumes).toEqual(["./deploy/nginx-hubs.conf:/etc/nginx/nginx.conf:ro"]);
  });
});

const nginx = program("nginx") ?? "";

describe.skipIf(nginx === "" || natsServer === undefined)("nginx with deploy/nginx-hubs.conf", () => {
  test("brings clients to whichever hub is there, and they lose nothing when one is killed", async () => {
    const node = await startNats();
    const start = () => startHubProcess({ data: temporaryFolder(), args: ["--engine", node.url] });
    const [one, other] = await Promise.all([start(), start()]);
    const port = await startNginx(one.port, other.port);
    const clients = Array.from({ length: 4 }, () => clientOf(`ws://localhost:${port}`));
    const seen = clients.map(() => new Collected<unknown>());
    for (const [i, client] of clients.entries()) {
      await client.subscribe("a", { from: "earliest" }, ({ data }) => seen[i]?.add(data)).ready();
    }
    const published = async (from: number) => {
      for (let i = from; i < from + 10; i++) await clients[i % 4]?.publish("a", i);
      for (const { items } of await Promise.all(seen.map(async (each) => ({ items: await each.reach(from + 10) })))) {
        expect(items).toEqual(Array.from({ length: from + 10 }, (_, i) => i));
      }
    };
    await published(0);
    const moved = Promise.race(clients.map((client) => happening(client, "resumed")));
    await one.kill();
    await moved;
    await published(10);
  });
});

/** Starts it in front of two hubs, and resolves with its port once it listens. */
async function startNginx(...hubPorts: [number, number]): Promise<number> {
  const folder = temporaryFolder();
  const [port] = (await freePorts(1)) as [number];
  const file = adapted("nginx-hubs.conf", {
    "/run/nginx.pid": join(folder, "nginx.pid"),
    "/dev/stdout": join(folder, "access.log"),
    "/dev/stderr": join(folder, "error.log"),
    "listen 80;": `listen 127.0.0.1:${port};`,
    "hub-1:7600": `127.0.0.1:${hubPorts[0]}`,
    "hub-2:7600": `127.0.0.1:${hubPorts[1]}`,
  });
  const running = new ChildProcess(nginx, [
    ...["-c", file, "-e", join(folder, "start.log")],
    ...["-g", "daemon off; error_log stderr notice;"],
  ]);
  await running.untilLine(/start worker process \d+/);
  return port;
}
