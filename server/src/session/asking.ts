/** What operators ask for. */
import type { Ask } from "@dogear/shared";
import { asDogearError } from "./drafts.ts";
import type { Session } from "./session.ts";

export async function ask(session: Session, { request, action }: Ask): Promise<void> {
  try {
    session.say({
      is: "answer",
      request,
      result: await session.parts.hub.administration.perform(action, session.principal.permissions),
    });
  } catch (error) {
    const { code, message } = asDogearError(error);
    if (code === "internal") session.parts.logger.error("ask.failed", { session: session.id, action, error });
    session.say({ is: "error", code, message, request });
  }
}
