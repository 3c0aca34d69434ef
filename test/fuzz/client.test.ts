/**
 * The whole SDK against a hub that says anything: it throws nothing, and when a hub that keeps to the protocol answers, all
 * that was handed to it gets a result.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type FakeSocket, outcome, World } from "../client/support.ts";
import { mutatedText } from "./mutation.ts";
import { corpus, fuzz, oddValue } from "./support.ts";

const said = corpus("hub-envelopes.txt");
const nonsense = corpus("hub-nonsense.txt");

/** One field of something that a hub says is another. */
const changed = fc.tuple(fc.constantFrom(...said), fc.nat(), oddValue).map(([text, at, value]) => {
  const envelope = [JSON.parse(text)].flat()[0] as Record<string, unknown>;
  const names = Object.keys(envelope);
  return JSON.stringify({ ...envelope, [names[at % names.length] as string]: value });
});
const anything = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...said) },
  { weight: 4, arbitrary: changed },
  { weight: 3, arbitrary: mutatedText(said) },
  { weight: 1, arbitrary: fc.constantFrom(...nonsense) },
  { weight: 1, arbitrary: oddValue.map((value) => JSON.stringify(value)) },
);
const conversation = fc.record({
  welcomes: fc.boolean(),
  frames: fc.array(anything, { minLength: 1, maxLength: 12 }),
});

/** A client that does all there is to do. */
function busyClient() {
  const world = new World({ subscriber: "app" });
  const { dogear } = world;
  const handed = [dogear.publish("a.b", 1), dogear.publish("a.b", 2, { delayMs: 1_000 }), dogear.cancel("s1")];
  const seen: unknown[] = [];
  const subscriptions = [
    dogear.subscribe("a.*", { onGap: "continue" }, ({ offset }) => void seen.push(offset)),
    dogear.subscribe("a.*", { cursor: true, onGap: "continue" }, () => {}),
  ];
  const worker = dogear.work("a.*", { group: "g" }, () => {});
  for (const promise of [...handed, worker.ended, ...subscriptions.map(({ ended }) => ended)]) promise.catch(() => {});
  return { world, dogear, handed };
}

/** Does not wait as long as a hub has asked for, which may be for ever. */
async function comeBack(world: World): Promise<void> {
  world.page.woke();
  await world.nextAttempt();
}

/** Answers all that it was sent, as a hub does, and nothing else. */
async function answerAll(socket: FakeSocket): Promise<void> {
  for (const envelope of await socket.heard()) {
    if (envelope.is === "publish") await socket.published(envelope.number);
    if (envelope.is === "ask") await socket.say({ is: "answer", request: envelope.request, result: null });
  }
}

/** A hub says these WebSocket messages, one after the other, and then one comes that keeps to the protocol. */
async function expectOutlived({ welcomes, frames }: typeof conversation extends fc.Arbitrary<infer C> ? C : never) {
  const { world, dogear, handed } = busyClient();
  world.socket.open();
  if (welcomes) await world.socket.welcome();
  for (const frame of frames) {
    if (dogear.state.name === "closed") break;
    if (dogear.state.name === "waiting") {
      await comeBack(world);
      world.socket.open();
    }
    await world.socket.sayText(frame);
  }
  if (dogear.state.name !== "closed") {
    if (dogear.state.name !== "waiting") await world.socket.drop();
    await comeBack(world);
    await answerAll(await world.connect());
    await world.clock.pass(60_000);
  }
  for (const promise of handed) expect(await outcome(promise)).not.toBe("pending");
  const closed = dogear.close();
  await world.clock.pass(60_000);
  await closed;
}

it("a client outlives whatever a hub says, and every call ends", async () => {
  await fuzz(conversation, expectOutlived, { share: 2 });
});

it.each(nonsense)("a client outlives %s, before and after its welcome", async (frame) => {
  for (const welcomes of [false, true]) await expectOutlived({ welcomes, frames: [frame] });
});
