import { beforeAll, describe } from "vitest";
import { freshPrefix, openJetStream } from "../engine/jetstream/support.ts";
import { type NatsNode, natsServer, startNats } from "../support/nats.ts";
import { runEngineContract } from "./engine.ts";

describe.skipIf(natsServer === undefined)("on a nats-server", () => {
  let node: NatsNode;
  beforeAll(async () => {
    node = await startNats();
  });

  runEngineContract("jetstream", {
    open: () => openJetStream(node.url, freshPrefix()),
    durability: "process",
    keeps: true,
  });
});
