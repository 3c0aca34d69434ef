/** The sentence that tells a visitor what just happened; the reason for this page to be. */
import type { Return } from "./readings.ts";
import { counted, duration, integer } from "./words.ts";

/** What the page is going through. */
export type Situation =
  | { readonly is: "settled" }
  /** The page was loaded, and comes back to the place it had. */
  | { readonly is: "coming-back"; readonly offset: number }
  /** The connection is lost. */
  | { readonly is: "away"; readonly awayMs: number; readonly offset: number; readonly isCut: boolean }
  | { readonly is: "catching-up"; readonly awayMs: number; readonly missed: number }
  | ({ readonly is: "back" } & Return)
  | { readonly is: "taken-over"; readonly offset: number | undefined }
  | { readonly is: "refused"; readonly reason: string };

export interface Notice {
  /** Read aloud when it changes. */
  readonly text: string;
  /** Changes every second, and is only seen. */
  readonly ticking?: string;
  /** What its button says, if it has one. */
  readonly action?: string;
}

export function noticeOf(situation: Situation): Notice {
  switch (situation.is) {
    case "settled":
      return {
        text: "Cut the connection or reload the page. When it is back, it says here what it missed, and draws it.",
      };
    case "coming-back":
      return { text: `Coming back to this page’s place, after offset ${integer(situation.offset)}.` };
    case "away": {
      const { isCut, offset, awayMs } = situation;
      return {
        text: `${isCut ? "You cut the connection." : "The hub is out of reach."} This page’s place is kept: everything after offset ${integer(offset)} will follow.`,
        ticking: `Away for ${duration(awayMs)}`,
      };
    }
    case "catching-up":
      return {
        text: `Back after ${duration(situation.awayMs)}: catching up.`,
        ticking: `${counted(situation.missed, "point")} so far`,
      };
    case "back":
      return { text: backAfter(situation) };
    case "taken-over": {
      const { offset } = situation;
      return {
        text: `Another tab has taken over this place, and goes on${offset === undefined ? "" : ` from offset ${integer(offset)}`}. One place, one reader.`,
        action: "Take over here",
      };
    }
    case "refused":
      return { text: `The hub refused this page: ${situation.reason}`, action: "Try again" };
  }
}

function backAfter({ awayMs, missed, gap }: Return): string {
  const points = missed === 0 ? "nothing missed" : `${counted(missed, "point")} missed, all delivered`;
  const back = `Back after ${duration(awayMs)}: ${points}.`;
  return gap ? `${back} What was older than that, the hub no longer has (${gap.reason}).` : back;
}
