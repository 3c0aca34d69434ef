/** Ports of this machine that nobody listens on. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * Where they are looked for: below the ports that the system gives to outgoing connections, one of which could otherwise
 * be on a port whose server is just being started again.
 */
const [lowest, highest] = [12_000, 32_000] as const;

/** Ports that are free, and are not taken by another while all of them are looked for. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = await listening(lowest + Math.floor(Math.random() * (highest - lowest)));
    if (server !== undefined) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Nothing where the port is taken. */
async function listening(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
}
