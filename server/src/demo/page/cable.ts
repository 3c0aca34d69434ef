/**
 * A network cable to pull: the SDK takes any WebSocket it is given, and this one can be cut. What follows (that it is
 * noticed, the attempts, the coming back) is the SDK's own doing.
 */
import type { WebSocketConstructor } from "@dogear/client";

export class Cable {
  readonly WebSocket: WebSocketConstructor;
  readonly #sockets = new Set<WebSocket>();
  #isCut = false;

  constructor() {
    const plug = (socket: WebSocket): void => this.#plug(socket);
    this.WebSocket = class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        plug(this);
      }
    };
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.close();
  }

  mend(): void {
    this.#isCut = false;
    // What a browser says when its network is back, and the SDK listens for.
    dispatchEvent(new Event("online"));
  }

  #plug(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.addEventListener("close", () => this.#sockets.delete(socket));
    if (this.#isCut) socket.close();
  }
}
