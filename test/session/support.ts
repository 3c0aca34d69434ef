/** A session without a network: envelopes go in, and what it would send comes out. */
import { defaultLimits, type HubEnvelope, type Limits } from "@dogear/shared";
import type { Frame } from "../../server/src/codec/codec.ts";
import { hubJsonCodec } from "../../server/src/codec/json.ts";
import type { Hub } from "../../server/src/hub/hub.ts";
import type { Clock } from "../../server/src/runtime/clock.ts";
import { silentLogger } from "../../server/src/runtime/logger.ts";
import { Metrics } from "../../server/src/runtime/metrics.ts";
import { handle } from "../../server/src/session/handlers.ts";
import { Heartbeats } from "../../server/src/session/heartbeats.ts";
import { Session } from "../../server/src/session/session.ts";
import type { Socket } from "../../server/src/session/socket.ts";
import { settled } from "../hub/support.ts";
import { eachAnswer } from "../support/answers.ts";
import { chance } from "../support/clock.ts";

export class FakeSocket implements Socket {
  /** Everything that was sent, in order. */
  readonly heard: HubEnvelope[] = [];
  sentFrames = 0;
  sentBytes = 0;
  bufferedBytes = 0;
  receivedBytes = 0;
  paused = false;
  closedWith: number | undefined;
  /** Whether its client reads; otherwise what is sent stays in the buffer. */
  reading = true;

  send(pieces: Frame): void {
    const frame = Buffer.concat(pieces);
    this.sentFrames++;
    this.sentBytes += frame.length;
    if (!this.reading) this.bufferedBytes += frame.length;
    const header = [2, 4, 10][Math.max(0, (frame[1] as number) - 125)] as number;
    const said = JSON.parse(frame.subarray(header).toString()) as HubEnvelope | HubEnvelope[];
    this.heard.push(...[said].flat().flatMap(eachAnswer));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(code: number): void {
    this.closedWith = code;
  }
}

export class Client {
  readonly socket: FakeSocket = new FakeSocket();
  readonly session: Session;
  readonly metrics: Metrics = new Metrics();

  constructor(hub: Hub, clock: Clock, limits: Partial<Limits> = {}) {
    const all = { ...defaultLimits, ...limits };
    this.session = new Session(
      this.socket,
      hubJsonCodec(all),
      {
        hub,
        limits: all,
        clock,
        chance,
        handle,
        heartbeats: new Heartbeats(clock),
        logger: silentLogger,
        metrics: this.metrics,
        name: "dogear/test",
      },
      "127.0.0.1",
    );
  }

  /** Says hello, and waits for the welcome. */
  static async greet(hub: Hub, clock: Clock, greeting: object = {}, limits: Partial<Limits> = {}): Promise<Client> {
    const client = new Client(hub, clock, limits);
    await client.say({ is: "hello", protocol: 1, ...greeting });
    return client;
  }

  /** Sends envelopes in one WebSocket message and lets everything happen that follows. */
  async say(...envelopes: readonly object[]): Promise<void> {
    this.send(...envelopes);
    await settled();
  }

  send(...envelopes: readonly object[]): void {
    const message = Buffer.from(JSON.stringify(envelopes));
    this.socket.receivedBytes += message.length;
    this.session.receive(message, false);
  }

  /** Reads what is in the buffer. */
  async read(): Promise<void> {
    this.socket.reading = true;
    this.socket.bufferedBytes = 0;
    this.session.drained();
    await settled();
  }

  /** What it heard of one kind. */
  all<K extends HubEnvelope["is"]>(is: K): Extract<HubEnvelope, { is: K }>[] {
    return this.socket.heard.filter((envelope): envelope is Extract<HubEnvelope, { is: K }> => envelope.is === is);
  }
}

export function publish(number: number, fields: object = {}): object {
  return { is: "publish", number, channel: "a", data: number, ...fields };
}
