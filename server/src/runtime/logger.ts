/** Where the hub says what happens to it: one JSON object a line, on standard error. */
export interface Logger {
  info(event: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(event: string, facts?: Readonly<Record<string, unknown>>): void;
  error(event: string, facts?: Readonly<Record<string, unknown>>): void;
}

export function jsonLogger(write: (line: string) => void, now: () => number): Logger {
  const at =
    (level: string): Logger["info"] =>
    (event, facts) =>
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, event, ...facts }, errorsAsText)}\n`);
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/** Says nothing. */
export const silentLogger: Logger = { info: () => {}, warn: () => {}, error: () => {} };

function errorsAsText(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? String(value)) : value;
}
