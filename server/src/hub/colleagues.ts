/** What hubs ask each other to do: questions and answers as JSON, and errors as those who asked here would meet them. */
import { DogearError, dogearError, type ErrorCode } from "@dogear/shared";
import type { HubId, Peers } from "../engine/engine.ts";

type Answer = { readonly is: unknown } | { readonly error: ErrorCode; readonly detail: string };

/** How long an answer is waited for. */
const answerMs = 5_000;

export class Colleagues {
  readonly #peers: Peers;

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  get self(): HubId {
    return this.#peers.self;
  }

  /** The other hubs that were heard of lately. */
  get others(): readonly HubId[] {
    return this.#peers.others;
  }

  /** Names what does what others ask for under a topic. */
  serve<Question>(topic: string, answer: (question: Question, from: HubId) => Promise<unknown>): void {
    this.#peers.on(topic, async (words, from) => encode(await answered(() => answer(decode(words) as Question, from))));
  }

  /**
   * Asks another hub to do something. Rejects as it would here.
   *
   * @throws DogearError `unavailable` where it does not answer, and what it did is not known
   */
  async ask<Result>(hub: HubId, topic: string, question: unknown): Promise<Result> {
    const answer = decode(await this.#peers.ask(hub, topic, encode(question), answerMs)) as Answer;
    if ("error" in answer) throw new DogearError(answer.error, answer.detail);
    return answer.is as Result;
  }

  /** Asks all other hubs; leaves out those that do not answer. */
  async askAll<Result>(topic: string, question: unknown): Promise<readonly Result[]> {
    const asked = await Promise.allSettled(this.others.map((hub) => this.ask<Result>(hub, topic, question)));
    return asked.filter((one) => one.status === "fulfilled").map(({ value }) => value);
  }

  /** Tells another hub something, which it may not hear. */
  tell(hub: HubId, topic: string, word: unknown): void {
    this.#peers.tell(hub, topic, encode(word));
  }

  /** Tells all other hubs something, which they may not hear. */
  tellAll(topic: string, word: unknown): void {
    this.#peers.tellAll(topic, encode(word));
  }
}

async function answered(answer: () => Promise<unknown>): Promise<Answer> {
  try {
    return { is: (await answer()) ?? null };
  } catch (error) {
    const { code, message } = error instanceof DogearError ? error : dogearError("internal");
    return { error: code, detail: message };
  }
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function decode(words: Uint8Array): unknown {
  return JSON.parse(Buffer.from(words.buffer, words.byteOffset, words.length).toString());
}
