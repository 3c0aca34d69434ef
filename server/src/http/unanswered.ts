/**
 * Requests that were not answered yet. Where a connection is gone, so is whoever asked: a response that waits behind another
 * one of its connection is never told of that.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export class Unanswered {
  readonly #responses = new Map<Socket, Set<ServerResponse>>();
  #count = 0;
  #empty: () => void = () => {};

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** `whenEmpty` is called whenever the last of them was answered. */
  onEmpty(whenEmpty: () => void): void {
    this.#empty = whenEmpty;
  }

  add({ socket }: IncomingMessage, response: ServerResponse): void {
    const responses = this.#responses.get(socket) ?? this.#opened(socket);
    responses.add(response);
    this.#count++;
    response.once("close", () => {
      if (responses.delete(response)) this.#answered(1);
    });
  }

  #opened(socket: Socket): Set<ServerResponse> {
    const responses = new Set<ServerResponse>();
    this.#responses.set(socket, responses);
    socket.once("close", () => {
      this.#responses.delete(socket);
      this.#answered(responses.size);
      responses.clear();
    });
    return responses;
  }

  #answered(count: number): void {
    this.#count -= count;
    if (this.#count === 0) this.#empty();
  }
}
