/** What networks do to connections, each for a while under load, and the checker's word on what became of it. */
import { describe, expect, it } from "vitest";
import { figure } from "../support/figures.ts";
import { bothWays, type TcpProxy, type Weather } from "../support/proxy.ts";
import { seeded } from "../support/seeded.ts";
import { eventually } from "../support/waiting.ts";
import { Cast } from "./cast.ts";

const seed = Number(process.env.NETWORK_SEED ?? Date.now() % 2 ** 31);

interface Scenario {
  readonly what: string;
  /** Of what is published. */
  readonly textLengthMax?: number;
  /** How many have to arrive before something is done; by default more. */
  readonly messages?: number;
  /** What connections are like from the beginning, until the network is well again. */
  readonly weather?: (proxy: TcpProxy) => (connection: number) => Weather;
  /** What is done to them, under load. */
  readonly does?: (cast: Cast) => Promise<void>;
}

const scenarios: readonly Scenario[] = [
  {
    what: "connections are refused",
    does: async (cast) => {
      cast.proxy.isolate();
      for (let i = 0; i < 3; i++) await cast.losses();
      cast.proxy.admit();
    },
  },
  {
    what: "connections are refused every other time",
    weather: () => (connection) => ({ ...(connection % 2 === 1 && { arrival: "refuse" }) }),
    does: async ({ proxy }) => proxy.cut(),
  },
  {
    what: "connections are made and lead nowhere (the handshake hangs)",
    weather: () => (connection) => ({ ...(connection <= 3 && { arrival: "hang" }) }),
  },
  {
    what: "nothing arrives at the hub any more (half-open, P-14)",
    does: async (cast) => {
      cast.proxy.lose("to-hub");
      await cast.losses();
    },
  },
  {
    what: "nothing arrives at the clients any more (half-open, replies are lost, P-14)",
    does: async (cast) => {
      cast.proxy.lose("to-client");
      await cast.losses();
    },
  },
  {
    what: "nothing arrives anywhere any more, and nobody is told (P-14)",
    does: async (cast) => {
      cast.proxy.lose("to-client");
      cast.proxy.lose("to-hub");
      await cast.losses();
    },
  },
  {
    what: "replies are lost, and then the connections, again and again (G7)",
    does: async (cast) => {
      for (let i = 0; i < 5; i++) {
        cast.proxy.lose("to-client");
        await cast.hubHears();
        cast.proxy.cut();
        await cast.progress(5);
      }
    },
  },
  {
    what: "connections are reset, again and again",
    does: async (cast) => {
      for (let i = 0; i < 8; i++) {
        cast.proxy.cut();
        await cast.progress(5);
      }
    },
  },
  {
    what: "clients come back before the hub has heard that they were gone (P-41, P-58)",
    does: async (cast) => {
      for (let i = 0; i < 5; i++) {
        cast.proxy.cutNear();
        await cast.progress(5);
      }
    },
  },
  {
    what: "what clients said on an old connection arrives when they are on a new one (fences, P-24)",
    does: async (cast) => {
      for (let i = 0; i < 5; i++) {
        cast.proxy.keep("to-hub");
        await eventually(() => cast.proxy.keptBytes > 0);
        cast.proxy.cutNear();
        await cast.progress(5);
        cast.proxy.release();
        await cast.progress(5);
      }
    },
  },
  {
    what: "nothing gets through for a while, in either direction, and then all of it",
    does: async (cast) => {
      const { proxy } = cast;
      proxy.hold("to-client");
      await cast.hubHears();
      proxy.release();
      await cast.progress();
      proxy.hold("to-hub");
      const before = proxy.bytesToClients;
      // A ping at the latest.
      await eventually(() => proxy.bytesToClients > before);
      proxy.release();
    },
  },
  { what: "everything takes its time, some longer", weather: () => () => bothWays({ delayMs: 2, jitterMs: 15 }) },
  { what: "the line is thin", weather: () => () => bothWays({ bytesPerSecond: 100_000 }) },
  {
    // Of more than 4,096 pieces the hub takes no message: so many of one byte each are no network's doing.
    what: "everything arrives byte by byte",
    textLengthMax: 100,
    messages: 4,
    weather: () => (connection) => (connection <= 3 ? bothWays({ pieceBytes: 1 }) : {}),
    does: async ({ proxy }) => proxy.cut(),
  },
  { what: "everything arrives in heaps", weather: () => () => bothWays({ gatherMs: 20 }) },
  {
    what: "everything arrives byte by byte, late, and then not at all",
    weather:
      ({ connections }) =>
      (connection) =>
        connection - connections < 9 ? bothWays({ pieceBytes: 3, jitterMs: 3, cutAfterBytes: 4_000 }) : {},
  },
];

describe(`a publisher, a durable subscriber and a member of a group (seed ${seed}) keep every promise where`, () => {
  it.each(scenarios)("$what", async ({ weather, does, textLengthMax, messages }) => {
    const cast = await Cast.start(seeded(seed), textLengthMax);
    if (weather) cast.proxy.weather = weather(cast.proxy);
    cast.begin();
    await cast.progress(messages);
    await does?.(cast);
    await cast.progress();
    cast.proxy.weather = () => ({});
    await cast.finish();
    expect(cast.history.length).toBeGreaterThan(100);
    figure("network scenarios", 1);
  });
});
