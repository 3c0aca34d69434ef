/** All systems that are measured. */
import type { System } from "../system.ts";
import { centrifugo } from "./centrifugo.ts";
import { dogear, dogearJetstream } from "./dogear.ts";
import { jetstream, jetstreamAlways } from "./jetstream.ts";
import { kafka } from "./kafka.ts";
import { mosquitto, mosquittoQos1 } from "./mosquitto.ts";
import { natsWs } from "./nats-ws.ts";
import { rabbitmq, rabbitmqStream } from "./rabbitmq.ts";
import { redis } from "./redis.ts";
import { socketIo, socketIoRecovery } from "./socket-io.ts";
import { ws } from "./ws.ts";

export const systems: readonly System[] = [
  dogear,
  dogearJetstream,
  ws,
  socketIo,
  socketIoRecovery,
  natsWs,
  jetstream,
  jetstreamAlways,
  mosquitto,
  mosquittoQos1,
  centrifugo,
  redis,
  rabbitmq,
  rabbitmqStream,
  kafka,
];
