/** The words both sides of a connection speak. Nothing reached from here loads zod: see `@dogear/shared/envelopes`. */
export {
  type ClientCodec,
  type Draft,
  defaultType,
  type Encoded,
  isJsonType,
  jsonCodec,
  jsonSubprotocol,
} from "./codec.ts";
export type {
  Ack,
  ClientEnvelope,
  ErrorEnvelope,
  GapEnvelope,
  Hello,
  HubEnvelope,
  Messages,
  Publish,
  Published,
  Subscribe,
  Subscribed,
  Unsubscribe,
  Unsubscribed,
  Welcome,
  WireMessage,
} from "./envelopes.ts";
export {
  type ClosingErrorCode,
  DogearError,
  type ErrorCode,
  errors,
  isErrorCode,
  mayReconnect,
} from "./errors.ts";
export {
  defaultLimits,
  defaultWindow,
  headerLengthMax,
  headersMax,
  heartbeatMsBounds,
  type Limits,
  nameLengthMax,
  refusedMax,
} from "./limits.ts";
export {
  type Channel,
  isChannel,
  isPattern,
  isReserved,
  isWildcard,
  levelsMax,
  matcher,
  nameBytesMax,
  namespaceOf,
  type Pattern,
} from "./names.ts";
export {
  beginning,
  type Durability,
  type Epoch,
  type Gap,
  type GapReason,
  type Offset,
  type Position,
} from "./position.ts";
export { clientSentences, dogearError, sentences } from "./sentences.ts";
