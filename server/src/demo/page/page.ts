/** The page of the demo: connects as any user of the SDK does, and puts the parts together. */
import { connect, type Dogear, DogearError, type Position } from "@dogear/client";
import type { Absence } from "./absence.ts";
import { Cable } from "./cable.ts";
import { Charts } from "./charts.ts";
import { part, say } from "./dom.ts";
import { Memory } from "./memory.ts";
import { Notes } from "./notes.ts";
import { noticeOf, type Situation } from "./notice.ts";
import { Readings } from "./readings.ts";
import type { Point } from "./series.ts";
import { Status } from "./status.ts";

/** For those who want to look inside from the console. */
export interface DogearDemo {
  /** The client itself. */
  readonly dogear: Dogear;
  /** What the charts show, by channel. */
  series(): Record<string, readonly Point[]>;
  /** What the page tells its visitor. */
  readonly situation: Situation;
  readonly position: Position | undefined;
  /** When the page was away in the last minutes, and what it missed: all after one position, through another. */
  readonly absences: readonly Absence[];
}

declare global {
  interface Window {
    dogearDemo: DogearDemo;
  }
}

const memory = new Memory();
const cable = new Cable();
const dogear = connect(location.origin, {
  subscriber: memory.subscriber,
  WebSocket: cable.WebSocket,
  // Who looks at a demo does not want to wait for 20 seconds.
  backoff: { capMs: 3_000 },
});

/** What it comes to when there is no absence to tell of. */
let outcome: Situation = { is: "settled" };
let opened = false;

const readings = new Readings(dogear, memory, {
  changed: () => schedule(),
  returned: (back) => settle({ is: "back", ...back }),
  ended: (error) => {
    const reason = error instanceof Error ? error.message : String(error);
    const takenOver = error instanceof DogearError && error.code === "taken-over";
    settle(takenOver ? { is: "taken-over", offset: readings.position?.offset } : { is: "refused", reason });
  },
});
const status = new Status(dogear, cable, readings);
const charts = new Charts(readings);
const notice = part("notice");
const noticeText = part("notice-text");
const noticeTicking = part("notice-ticking");
const noticeAction = part<HTMLButtonElement>("notice-action");

window.dogearDemo = {
  dogear,
  series: () => Object.fromEntries([...readings.series].map(([channel, { points }]) => [channel, points])),
  get situation() {
    return situation();
  },
  get position() {
    return readings.position;
  },
  get absences() {
    return readings.absences;
  },
};

part("subscriber").textContent = memory.subscriber;
part("cut").addEventListener("click", () => (cable.isCut ? cable.mend() : cable.cut()));
part("reload").addEventListener("click", () => location.reload());
noticeAction.addEventListener("click", () => {
  if (dogear.state.name === "closed") return location.reload();
  outcome = { is: "settled" };
  readings.follow();
});
dogear.addEventListener("state", ({ detail }) => {
  opened ||= detail.name === "open";
  schedule();
});
addEventListener("pagehide", () => readings.tick());
setInterval(() => {
  readings.tick();
  schedule();
}, 1_000);

readings.follow();
new Notes(dogear);
draw();

function settle(situation: Situation): void {
  outcome = situation;
  schedule();
}

function situation(): Situation {
  const { absence } = readings;
  if (!absence) return outcome;
  const { since, until, after, missed } = absence;
  if (until !== undefined) return { is: "catching-up", awayMs: until - since, missed };
  if (!opened) return { is: "coming-back", offset: after.offset };
  return { is: "away", awayMs: Date.now() - since, offset: after.offset, isCut: cable.isCut };
}

let scheduled = false;

/** Draws once before the next frame, however much changed. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

function draw(): void {
  const now = situation();
  const { text, ticking, action } = noticeOf(now);
  notice.dataset.situation = now.is;
  say(noticeText, text);
  say(noticeTicking, ticking ?? "");
  say(noticeAction, action ?? "");
  noticeAction.hidden = action === undefined;
  status.draw();
  charts.draw();
}
