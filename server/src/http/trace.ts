/** The trace that a request belongs to (W3C Trace Context): handed on in the message, where it is well-formed. */
import type { IncomingMessage } from "node:http";

/** Version, trace, parent and flags. What later versions add is not looked at. */
const parentGrammar = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|-)/;
const stateGrammar = /^[\x20-\x7e]{1,512}$/;

const parentLengthMax = 128;

export function traceOf({ headers }: IncomingMessage): Record<string, string> {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== "string" || traceparent.length > parentLengthMax) return {};
  if (!parentGrammar.test(traceparent)) return {};
  const hasState = typeof tracestate === "string" && stateGrammar.test(tracestate);
  return { traceparent, ...(hasState && { tracestate }) };
}
