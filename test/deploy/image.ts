/**
 * Builds what a Dockerfile describes and runs it, with what Debian has: of each stage a root file system, made by
 * debootstrap as those of Debian's own images are, and namespaces.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { succeed } from "../support/machine.ts";
import { ChildProcess } from "../support/process.ts";
import { temporaryFolder } from "../support/temp.ts";
import { buildContext } from "./build-context.ts";
import { commandIn, type Instruction, readDockerfile } from "./dockerfile.ts";

/** A root file system and what its instructions have set so far. */
export interface Image {
  readonly root: string;
  env: Readonly<Record<string, string>>;
  folder: string;
  /** `user:group`, as numbers. */
  user: string;
  entrypoint: readonly string[];
  command: readonly string[];
  healthcheck: readonly string[];
  ports: readonly string[];
}

/** Builds all stages, in order; the last is the image. */
export async function buildImage(folder: string): Promise<Image> {
  const stages = readDockerfile(readFileSync(join(folder, "Dockerfile"), "utf8"));
  const images = new Map<string, Image>();
  let image: Image | undefined;
  for (const [index, { name, from, instructions }] of stages.entries()) {
    const base = images.get(from);
    image = base === undefined ? await debian(from) : await copyOf(base);
    for (const instruction of instructions) await apply(instruction, image, images, folder);
    images.set(name ?? `${index}`, image);
  }
  if (image === undefined) throw new Error("The Dockerfile has no stage.");
  return image;
}

/** Starts a command in an image, as `docker run` and `docker exec` do. It is the first process it sees. */
export function run(image: Image, command: readonly string[], network?: string): ChildProcess {
  const [user, group] = image.user.split(":");
  const isolation = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"];
  const place = [`--root=${image.root}`, `--wd=${image.folder}`, `--setuid=${user}`, `--setgid=${group ?? user}`];
  const start = ["unshare", ...isolation, ...place, "--", ...command];
  const [program, ...args] = network === undefined ? start : ["ip", "netns", "exec", network, ...start];
  return new ChildProcess(program as string, args, { env: image.env });
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** `debian:trixie-slim` is the smallest trixie without its documentation. */
async function debian(from: string): Promise<Image> {
  const suite = from.match(/^debian:(\w+)-slim$/)?.[1];
  if (suite === undefined) throw new Error(`${from} is no image of Debian.`);
  const root = temporaryFolder();
  await succeed("debootstrap", ["--variant=minbase", suite, root]);
  // It was made for this user alone, and the image's user has to get in.
  chmodSync(root, 0o755);
  // Theirs have neither documentation nor what was downloaded, and do not wait for the disk while packages are unpacked.
  writeFileSync(join(root, "etc/dpkg/dpkg.cfg.d/docker-apt-speedup"), "force-unsafe-io\n");
  const unneeded = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/cache/apt/archives"];
  for (const folder of unneeded) rmSync(join(root, folder), { recursive: true, force: true });
  return { ...unset, root };
}

const unset: Omit<Image, "root"> = {
  env: { PATH: path, HOME: "/root" },
  folder: "/",
  user: "0:0",
  entrypoint: [],
  command: [],
  healthcheck: [],
  ports: [],
};

async function copyOf(base: Image): Promise<Image> {
  const root = temporaryFolder();
  await succeed("cp", ["--archive", `${base.root}/.`, root]);
  return { ...base, root };
}

type Apply = (instruction: Instruction, image: Image, images: Map<string, Image>, context: string) => unknown;

/** Every instruction that the Dockerfile may use. Any other is an error, not one that is passed over. */
const instructions: Readonly<Record<string, Apply>> = {
  RUN: ({ text }, image) => runOnce(image, commandIn(text)),
  COPY: copy,
  ENV({ text }, image) {
    const pairs = text.split(/\s+/).map((pair) => pair.split("=", 2));
    image.env = { ...image.env, ...Object.fromEntries(pairs) };
  },
  WORKDIR({ text }, image) {
    mkdirSync(join(image.root, text), { recursive: true });
    image.folder = text;
  },
  USER({ text }, image) {
    if (!/^\d+:\d+$/.test(text)) throw new Error(`USER ${text}: a user and a group are given by number.`);
    image.user = text;
    image.env = { ...image.env, HOME: "/" };
  },
  EXPOSE({ text }, image) {
    image.ports = [...image.ports, text];
  },
  HEALTHCHECK({ text }, image) {
    image.healthcheck = commandIn(text.replace(/^CMD\s+/, ""));
  },
  ENTRYPOINT({ text }, image) {
    image.entrypoint = commandIn(text);
  },
  CMD({ text }, image) {
    image.command = commandIn(text);
  },
  VOLUME: ({ text }, image) => statSync(join(image.root, text)),
  STOPSIGNAL({ text }) {
    if (text !== "SIGTERM") throw new Error(`STOPSIGNAL ${text}: only SIGTERM is tried.`);
  },
};

async function apply(instruction: Instruction, ...rest: [Image, Map<string, Image>, string]): Promise<void> {
  const { name, line, text } = instruction;
  console.log(`Dockerfile:${line}  ${name} ${text}`);
  const carryOut = instructions[name];
  if (carryOut === undefined) throw new Error(`Dockerfile:${line}: ${name} is not known here.`);
  await carryOut(instruction, ...rest);
}

/** Runs a step with what this machine needs to reach its registries, of which nothing stays in the image. */
async function runOnce(image: Image, command: readonly string[]): Promise<void> {
  const { NODE_EXTRA_CA_CERTS: authorities, http_proxy, https_proxy, no_proxy } = process.env;
  const own: NodeJS.ProcessEnv = { http_proxy, https_proxy, no_proxy };
  const file = join(image.root, "run/authorities.pem");
  if (authorities !== undefined) {
    copyFileSync(authorities, file);
    own.NODE_EXTRA_CA_CERTS = own.npm_config_cafile = "/run/authorities.pem";
  }
  const env = { ...image.env, ...(own as Record<string, string>) };
  const step = run({ ...image, env }, command);
  const { code } = await step.exited;
  rmSync(file, { force: true });
  if (code !== 0) throw new Error(`${command.join(" ")} failed.\n${step.stdout}${step.stderr}`);
}

async function copy({ options, text }: Instruction, image: Image, images: Map<string, Image>, context: string) {
  const [from, to, more] = text.split(/\s+/) as [string, string, string?];
  if (more !== undefined) throw new Error(`COPY ${text}: only one source is tried.`);
  const target = join(image.root, to.startsWith("/") ? to : join(image.folder, to));
  const source = options.from === undefined ? undefined : images.get(options.from);
  if (source !== undefined) {
    mkdirSync(target, { recursive: true });
    await succeed("cp", ["--archive", `${join(source.root, from)}/.`, target]);
    return;
  }
  if (from !== ".") throw new Error(`COPY ${text}: of the build's own files only all of them are tried.`);
  for (const file of buildContext(context)) {
    mkdirSync(join(target, dirname(file)), { recursive: true });
    copyFileSync(join(context, file), join(target, file));
  }
}
