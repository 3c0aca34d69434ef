/** Time and chance, passed in everywhere, so that a whole hub can run under a virtual clock and one seed. */
import { performance } from "node:perf_hooks";
import { customAlphabet } from "nanoid";

export interface Clock {
  /** Wall time in milliseconds since 1970, for people and for records. It may jump. */
  now(): number;
  /** Milliseconds that never go back, for deadlines. */
  monotonic(): number;
  /** Calls once after `ms`; the function returned cancels it. A timer alone does not keep the process alive. */
  after(ms: number, call: () => void): () => void;
  /** Calls once, after the input that is waiting has been read. */
  soon(call: () => void): void;
}

export interface Chance {
  /** A number from 0 up to, not including, 1. */
  random(): number;
  /** A new identifier nobody else has. */
  id(): string;
}

/** `setTimeout` fires at once for anything longer. */
const timerMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(ms, timerMsMax));
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon: (call) => void setImmediate(call),
};

/** 131 bits of letters and digits: an id with a dash in front would be an option on a command line. */
const newId = customAlphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 22);

export const systemChance: Chance = { random: () => Math.random(), id: () => newId() };
