/** Secrets that are none: too short, guessed at once, or published in somebody's documentation. */

/** RFC 7518 section 3.2: a secret of HS256 is at least as long as its hash. */
const secretBytesMin = 32;

/** What is known to be in use because it stood in an example, where it is long enough to look like a secret. */
const published: ReadonlySet<string> = new Set(
  [
    // jwt.io, before and after 2025
    "your-256-bit-secret-your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    // The example of RFC 7515, appendix A.1
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    // Supabase, PostgREST and Hasura, to be run on one's own
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "reallyreallyreallyreallyverysafe",
    "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
  ].map((secret) => secret.toLowerCase()),
);

/** Characters that even digits at random have more of. */
const differentMin = 8;

/** What is wrong with a secret, to follow its path. It never says the secret. */
export function weakness(secret: string): string | undefined {
  if (Buffer.byteLength(secret) < secretBytesMin) return `has less than the ${secretBytesMin} bytes that HS256 needs`;
  const guessed = published.has(secret.toLowerCase()) || new Set(secret).size < differentMin || repeats(secret);
  return guessed ? 'is a secret that others know or guess; "openssl rand -base64 48" makes a good one' : undefined;
}

/** Whether it is one word, again and again. */
function repeats(secret: string): boolean {
  return (secret + secret).indexOf(secret, 1) <= secret.length / 2;
}
