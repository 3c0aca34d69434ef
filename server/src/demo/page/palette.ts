/** The colours of the style sheet, for what is drawn and not styled. They follow its light and its dark. */

interface Palette {
  readonly muted: string;
  readonly line: string;
  readonly live: string;
  readonly liveFill: string;
  readonly late: string;
  readonly away: string;
}

export let palette: Palette = read();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  palette = read();
});

function read(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    muted: colour("muted"),
    line: colour("line"),
    live: colour("live"),
    liveFill: colour("live-fill"),
    late: colour("late"),
    away: colour("away"),
  };
}
