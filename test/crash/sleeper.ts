/**
 * A process that stands still in the middle of its work: it takes a message as a worker or as a subscriber, and is not done with
 * it before somebody publishes to `wake`. Frozen meanwhile, it finds that message when it goes on.
 */
import { connect, type DogearError, type Message } from "@dogear/client";

const [, , url, role] = process.argv as [string, string, string, "worker" | "subscriber"];
const dogear = connect(url, { backoff: { baseMs: 20, capMs: 100 }, subscriber: "sleeper" });
const awake = new Promise<void>((resolve) => void dogear.subscribe("wake", { from: "earliest" }, () => resolve()));

if (role === "worker") await work();
else await subscribe();

async function work(): Promise<void> {
  const worker = dogear.work("orders.>", { group: "crew" });
  console.log("started");
  for await (const message of worker) {
    console.log(`given ${message.data}`);
    await awake;
    message.ack().then(
      () => console.log(`settled ${message.data}`),
      (error: DogearError) => console.log(`refused ${message.data}: ${error.code}`),
    );
  }
}

async function subscribe(): Promise<void> {
  const handle = async ({ data }: Message) => {
    console.log(`given ${data}`);
    await awake;
  };
  const subscription = dogear.subscribe("orders.>", { cursor: true, from: "earliest" }, handle);
  subscription.ended.catch((error: DogearError) => console.log(`ended: ${error.code}`));
  console.log("started");
}
