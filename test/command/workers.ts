/** Groups to look at: a group `a` shares what is published to `a.new`. */
import type { Dogear, LeasedMessage, WorkOptions } from "@dogear/client";
import { whenDone } from "../support/temp.ts";

/** Publishes these to `<name>.new`, in this order. */
export async function publish(client: Dogear, name: string, ...data: readonly unknown[]): Promise<void> {
  await Promise.all(data.map((one) => client.publish(`${name}.new`, one, { key: `key-${one}` })));
}

/** Joins the group of this name, which shares `<name>.>`, and leaves it when the test ends. */
export async function join(
  client: Dogear,
  name: string,
  options: Partial<WorkOptions> = {},
): Promise<AsyncIterator<LeasedMessage>> {
  const worker = client.work(`${name}.>`, { group: name, window: 1, ...options });
  await worker.ready();
  // What the test leaves leased would keep its client from closing.
  whenDone(() => worker.leave({ signal: AbortSignal.abort() }));
  return worker[Symbol.asyncIterator]();
}

export async function next(messages: AsyncIterator<LeasedMessage>): Promise<LeasedMessage> {
  const { value } = await messages.next();
  return value as LeasedMessage;
}
