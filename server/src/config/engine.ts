/** Where logs and state are kept: in a folder of this machine, or by JetStream on the servers that the configuration names. */
import type { JetStreamSettings } from "../engine/jetstream/cluster.ts";
import { type Reading, textOf } from "./access.ts";
import type { JetStreamOptions, Settings } from "./schema.ts";

/** How many servers keep each log where nobody says so: a majority of three is there when one is lost. */
const severalReplicas = 3;

/** What the distributed engine is told; nothing where the embedded one is chosen. */
export function jetStreamOf({ engine, jetstream }: Settings, reading: Reading): JetStreamSettings | undefined {
  const urls = serversOf(engine);
  if (urls === undefined) return undefined;
  const logins = new Set(urls.flatMap((url) => loginIn(url) ?? []));
  const [login] = logins;
  if (logins.size > 1) wrong(["engine"], "engine has several users: all servers are asked as the same one.", reading);
  checkFiles(jetstream, login !== undefined, reading);
  const usesTls = jetstream.tls !== undefined || urls.some((url) => url.startsWith("tls://"));
  return {
    servers: urls.map((url) => url.replace(/\/\/[^@]*@/, "//")),
    prefix: jetstream.prefix,
    replicas: jetstream.replicas ?? (urls.length > 1 ? severalReplicas : 1),
    monitors: jetstream.monitors,
    credentialsFile: jetstream.credentialsFile,
    login: login === undefined ? undefined : parsed(login),
    tls: usesTls ? (jetstream.tls ?? {}) : undefined,
  };
}

/** Every server's URL; what stands behind a comma may leave out its scheme and its login. Nothing for the embedded engine. */
export function serversOf(engine: Settings["engine"]): readonly string[] | undefined {
  if (engine === "lmdb") return undefined;
  if (typeof engine !== "string") return engine;
  const [first = "", ...others] = engine.split(",").map((url) => url.trim());
  const start = first.match(/^\w+:\/\/([^@]*@)?/)?.[0] ?? "";
  return [first, ...others.map((url) => (/^\w+:\/\//.test(url) ? url : start + url))];
}

/** What may be read of what was said: who comes is nobody's business. */
export function redactedEngine(engine: Settings["engine"]): Settings["engine"] {
  const hide = (text: string) => text.replaceAll(/(\/\/|^|,)[^@/,]*@/g, "$1[redacted]@");
  return typeof engine === "string" ? hide(engine) : engine.map(hide);
}

function loginIn(url: string): string | undefined {
  return url.match(/\/\/([^@]*)@/)?.[1];
}

/** A user and a password, or a token alone. */
function parsed(login: string): NonNullable<JetStreamSettings["login"]> {
  const [user = "", password] = login.split(/:(.*)/s).map(decodeURIComponent);
  return password === undefined ? { token: user } : { user, password };
}

function checkFiles({ credentialsFile, tls = {} }: JetStreamOptions, hasLogin: boolean, reading: Reading): void {
  const path = ["jetstream", "credentialsFile"];
  if (credentialsFile !== undefined) textOf(credentialsFile, path, reading);
  if (credentialsFile !== undefined && hasLogin) {
    wrong(path, "jetstream.credentialsFile says who comes, and engine does too: leave one of them out.", reading);
  }
  for (const [key, file] of Object.entries(tls))
    if (file !== undefined) textOf(file, ["jetstream", "tls", key], reading);
  if ((tls.certificateFile === undefined) !== (tls.keyFile === undefined)) {
    wrong(["jetstream", "tls"], "jetstream.tls.certificateFile and jetstream.tls.keyFile go together.", reading);
  }
}

function wrong(path: readonly string[], sentence: string, { given, mistakes }: Reading): void {
  mistakes.add(given.origin(path), sentence);
}
