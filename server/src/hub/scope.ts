/**
 * Names that clients choose are their user's: a producer, a member, an explicit id. Joined so that no user can spell
 * another's.
 */
export function scoped(user: string, name: string): string {
  return `${encodeURIComponent(user)}/${name}`;
}
