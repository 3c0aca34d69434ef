/**
 * Who claims something that one at a time can have: a client, over one of its connections. What a connection said that
 * its client has given up may still arrive, after what the next one said; it must not take anything from that (P-41, P-58).
 */
export interface Claimant {
  readonly client: string;
  /** Grows with each connection of the client. */
  readonly connection: number;
}

/** Whether one claims over an older connection of the same client than another. */
export function isOutdated(one: Claimant | undefined, other: Claimant | undefined): boolean {
  return one !== undefined && one.client === other?.client && one.connection < other.connection;
}
