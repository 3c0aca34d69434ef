/**
 * Dogear's clients once more, by its own library, and everything they do and see written down for the checker. What a
 * workload does with them is the same; they are slower, and hold publishing back so that a history stays small.
 */
import { connect, type Dogear, type Position } from "@dogear/client";
import type { Channel, Pattern } from "@dogear/shared";
import type { Happened } from "../checker/history.ts";
import type { Notebook } from "../soak/notebook.ts";
import { message } from "./message.ts";
import type {
  Client,
  Publisher,
  PublisherOptions,
  Subscriber,
  SubscriberOptions,
  Worker,
  WorkerOptions,
} from "./system.ts";

const perTick = 5;
const tickMs = 10;

interface Notes {
  write(happened: Happened): void;
}

export function recordedClient(url: string, notebook: Notebook): Client {
  let clients = 0;
  const open = (name: string, options: { readonly subscriber?: string } = {}) => {
    const process = `${name} ${++clients}`;
    return { dogear: connect(url, options), notes: notebook.of(process) };
  };
  return {
    publisher: async (options) => {
      const { dogear, notes } = open(options.name);
      await dogear.ready();
      return publisher(dogear, notes, options);
    },
    subscriber: ({ localAddress: _, ...options }) => {
      const { dogear, notes } = open("subscriber", options.cursor === undefined ? {} : { subscriber: options.cursor });
      return subscriber(dogear, notes, options);
    },
    worker: async (options) => {
      const { dogear, notes } = open(options.name);
      return worker(dogear, notes, options);
    },
  };
}

/** Every message of a channel has one publisher, so its number names it there. */
export function contentOf(channel: string, data: unknown) {
  const payload = JSON.stringify(data);
  return { channel: channel as Channel, draft: `${channel} ${numberOf(data)}`, payload };
}

function numberOf(data: unknown): number {
  return Number.parseInt(String(data), 10);
}

function publisher(
  dogear: Dogear,
  notes: Notes,
  { name, channel, bytes, inFlight, ids = false }: PublisherOptions,
): Publisher {
  let stopped = false;
  /** Handed in and not yet sent. */
  let waiting = 0;
  const one = async (number: number) => {
    const data = JSON.parse(message(number, bytes)) as string;
    const content = contentOf(channel(number), data);
    notes.write({ op: "publish", kind: "invoke", ...content });
    const { epoch, offset, durability } = await dogear.publish(
      content.channel,
      data,
      ids ? { id: `${name}-${number}` } : {},
    );
    notes.write({ op: "publish", kind: "ok", draft: content.draft, epoch, offset, durability });
    publisher.acknowledged++;
    publisher.onAcknowledged();
    if (inFlight > 0) publisher.sendMore(1);
  };
  const publisher = {
    sent: 0,
    acknowledged: 0,
    fault: undefined as string | undefined,
    onAcknowledged: () => {},
    sendMore(count: number) {
      if (stopped) return;
      publisher.sent += count;
      waiting += count;
    },
    stop() {
      stopped = true;
    },
    close() {
      clearInterval(timer);
      void dogear.close();
    },
  };
  const timer = setInterval(() => {
    for (let i = 0; i < perTick && waiting > 0; i++, waiting--) {
      one(publisher.sent - waiting + 1).catch((error: Error) => {
        publisher.fault ??= error.message;
      });
    }
  }, tickMs);
  publisher.sendMore(inFlight);
  return publisher;
}

async function subscriber(
  dogear: Dogear,
  notes: Notes,
  { channel, from, sequence, cursor }: Omit<SubscriberOptions, "localAddress">,
): Promise<Subscriber> {
  let place: Position | undefined;
  let [paused, resume] = [Promise.resolve(), () => {}];
  const subscriber = {
    onProgress: (_first: number, _count: number) => {},
    fault: undefined as string | undefined,
    place: () => place,
    pause() {
      paused = new Promise((resolve) => {
        resume = resolve;
      });
    },
    resume: () => resume(),
    close: () => void dogear.close(),
  };
  const start = typeof from === "string" ? from : (from.place as Position);
  const begin = async (name: string) => {
    const pattern = name as Pattern;
    const named = { subscription: name };
    notes.write({
      ...named,
      op: "subscribe",
      kind: "invoke",
      pattern,
      subscriber: cursor,
      fromEarliest: from === "earliest",
    });
    const open = dogear.subscribe(
      name,
      { from: start, cursor: cursor !== undefined },
      async ({ channel, data, ...at }) => {
        const { epoch, offset } = at;
        notes.write({ ...named, op: "deliver", kind: "invoke", epoch, offset, ...contentOf(channel, data) });
        sequence.take(numberOf(data));
        place = { epoch, offset };
        subscriber.onProgress(numberOf(data), 1);
        await paused;
        notes.write({ ...named, op: "deliver", kind: "ok", epoch, offset });
      },
    );
    open.addEventListener("gap", () => {
      subscriber.fault ??= "it was told of a gap";
    });
    await new Promise<void>((resolve) => {
      open.addEventListener("subscribed", ({ detail: { position } }) => {
        notes.write({ ...named, op: "subscribe", kind: "ok", ...position });
        place ??= position;
        resolve();
      });
    });
  };
  await Promise.all((typeof channel === "string" ? [channel] : channel).map(begin));
  return subscriber;
}

function worker(dogear: Dogear, notes: Notes, { group, channel, window, once }: WorkerOptions): Worker {
  const worker = {
    settled: 0,
    fault: undefined as string | undefined,
    onTaken: () => {},
    close: () => void dogear.close(),
  };
  const members = dogear.work(channel, { group, window });
  const takeAll = async () => {
    for await (const given of members) {
      const { epoch, offset, deliveries, failures } = given;
      const lease = { group, epoch, offset, deliveries };
      notes.write({ ...lease, op: "lease", kind: "invoke", failures });
      once.take(numberOf(given.data));
      const settle = { ...lease, op: "settle", outcome: "ack" } as const;
      notes.write({ ...settle, kind: "invoke" });
      given.ack().then(
        () => {
          notes.write({ ...settle, kind: "ok" });
          worker.settled++;
        },
        () => notes.write({ ...settle, kind: "info" }),
      );
      worker.onTaken();
    }
  };
  takeAll().catch((error: Error) => {
    worker.fault ??= error.message;
  });
  return worker;
}
