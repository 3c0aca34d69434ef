/** What a hub says of several drafts at once, as it would be for each (P-19). */
import type { HubEnvelope } from "@dogear/shared";

export function eachAnswer(envelope: HubEnvelope): readonly HubEnvelope[] {
  if (envelope.is !== "published") return [envelope];
  const { count = 1, ...first } = envelope;
  return Array.from({ length: count }, (_, i) => ({
    ...first,
    number: first.number + i,
    offset: (first.offset + i) as typeof first.offset,
  }));
}
