/** Ports of this machine that nobody listens on, and that no other test is given. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Where they are looked for: below the ports that the system gives to outgoing connections, one of which could otherwise
 * be on a port whose server is just being started again.
 */
const [lowest, highest] = [12_000, 32_000] as const;

/** How far above a port the one is that is held for datagrams, as the sign that the port is given away. */
const signAbove = 20_000;

/** Ports that are free. Also while nobody listens on one, no test of another process is given it before this process ends. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if ((await take(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

/** Takes a port for this process; false where another has it. What was taken is given back by the system at the end. */
async function take(port: number): Promise<boolean> {
  const sign = createSocket("udp4").unref();
  sign.bind({ port: port + signAbove, address: "127.0.0.1", exclusive: true });
  const isMine = await comesUp(sign);
  if (!isMine) sign.close();
  return isMine;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  if (!(await comesUp(server))) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Whether it listens; false where somebody else does. */
async function comesUp(listening: NodeJS.EventEmitter): Promise<boolean> {
  try {
    await once(listening, "listening");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}
