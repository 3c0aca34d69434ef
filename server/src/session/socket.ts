/** What a session needs of a connection. Incoming messages are calls into the session. */
import type { Frame } from "../codec/codec.ts";

export interface Socket {
  /** Writes a frame, which is never changed afterwards. One that another follows at once leaves together with it. */
  send(frame: Frame, isFollowed?: boolean): void;
  /** Bytes that were sent but have not left yet. */
  readonly bufferedBytes: number;
  /** Bytes that have arrived so far, also those of a message that is not complete. */
  readonly receivedBytes: number;
  /** Stops and resumes reading, so that a client that is too fast is slowed down by its own connection. */
  pause(): void;
  resume(): void;
  /** Closes politely, with a code and a reason. */
  close(code: number, reason: string): void;
}
