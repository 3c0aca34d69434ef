/** Figures as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `1 point`, `1,234 points` */
export function counted(count: number, noun: string): string {
  return `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `98,214` */
export function integer(value: number): string {
  return whole.format(value);
}

/** `12.4`; of large values the fraction says nothing. */
export function decimal(value: number): string {
  return (value < 1_000 ? tenths : whole).format(value);
}

/** `12.4 s`, `3 min 20 s`, `5 h 12 min`, `2 d 7 h` */
export function duration(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 60) return `${tenths.format(Math.ceil(seconds * 10) / 10)} s`;
  if (seconds < 3_600) return pair(seconds, 60, "min", "s");
  if (seconds < 86_400) return pair(seconds / 60, 60, "h", "min");
  return pair(seconds / 3_600, 24, "d", "h");
}

function pair(small: number, ratio: number, largeUnit: string, smallUnit: string): string {
  return `${Math.floor(small / ratio)} ${largeUnit} ${Math.floor(small % ratio)} ${smallUnit}`;
}

/** `14:03:09` */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}
