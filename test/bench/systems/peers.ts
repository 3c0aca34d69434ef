import { jetstream, jetstreamAlways } from "./jetstream.ts";
import { mosquitto } from "./mosquitto.ts";
import { natsWs } from "./nats-ws.ts";
import { redis } from "./redis.ts";
export const peers = [natsWs, jetstream, jetstreamAlways, mosquitto, redis];
