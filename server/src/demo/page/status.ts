/** What the connection is doing, where in the log the page is, and the button that cuts. */
import type { ConnectionState, Dogear } from "@dogear/client";
import type { Cable } from "./cable.ts";
import { part, say } from "./dom.ts";
import type { Readings } from "./readings.ts";
import { integer } from "./words.ts";

export class Status {
  readonly #pill = part("state");
  readonly #label = part("state-label");
  readonly #detail = part("state-detail");
  readonly #position = part("position");
  readonly #received = part("received");
  readonly #cut = part<HTMLButtonElement>("cut");
  readonly #dogear: Dogear;
  readonly #cable: Cable;
  readonly #readings: Readings;
  #opened = false;
  #nextAttempt = 0;

  constructor(dogear: Dogear, cable: Cable, readings: Readings) {
    this.#dogear = dogear;
    this.#cable = cable;
    this.#readings = readings;
    dogear.addEventListener("state", ({ detail: { name, retryInMs = 0 } }) => {
      this.#opened ||= name === "open";
      this.#nextAttempt = Date.now() + retryInMs;
    });
  }

  draw(): void {
    const { state } = this.#dogear;
    const { isCut } = this.#cable;
    const { position, received } = this.#readings;
    this.#pill.dataset.state = state.name;
    say(this.#label, this.#labelOf(state));
    say(this.#detail, this.#detailOf(state));
    say(this.#cut, isCut ? "Reconnect" : "Cut the connection");
    this.#cut.disabled = state.name === "closed";
    say(this.#position, position ? `${position.epoch.slice(0, 4)} · ${integer(position.offset)}` : "–");
    this.#position.title = position ? `Epoch ${position.epoch}, offset ${position.offset}` : "";
    say(this.#received, integer(received));
  }

  #labelOf({ name }: ConnectionState): string {
    if (name === "open") return "Connected";
    if (name === "closed") return "Closed";
    if (this.#cable.isCut) return "Cut off";
    return this.#opened ? "Reconnecting" : "Connecting";
  }

  #detailOf(state: ConnectionState): string {
    switch (state.name) {
      case "open":
        return paces[this.#readings.pace];
      case "connecting":
        return "trying now";
      case "waiting": {
        const seconds = Math.max(0, Math.ceil((this.#nextAttempt - Date.now()) / 1_000));
        return `${this.#cable.isCut ? "by you" : reasonOf(state)}; next try in ${seconds} s`;
      }
      case "closed":
        return reasonOf(state);
    }
  }
}

/** How the readings come, as a visitor understands it. */
const paces = {
  subscribing: "finding its place",
  "catching-up": "catching up",
  live: "live",
  ended: "not reading",
} as const;

/** Why a connection is not there, in a few words. */
function reasonOf({ code, reason }: ConnectionState): string {
  if (code === "draining") return "hub restarts";
  if (code === "heartbeat-timeout") return "hub fell silent";
  if (reason === "offline") return "no network";
  // A close code that is a plain number says only that it broke.
  return typeof code === "string" ? (reason ?? code) : "hub out of reach";
}
