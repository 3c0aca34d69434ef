/** A Dockerfile as it is read: its stages, and of each the instructions in order. */

export interface Stage {
  readonly name: string | undefined;
  /** An image, or a stage before this one. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

export interface Instruction {
  readonly line: number;
  /** `RUN`, `COPY`, … */
  readonly name: string;
  /** `--from=build` is `from: "build"`. */
  readonly options: Readonly<Record<string, string>>;
  /** All behind the options. */
  readonly text: string;
}

export function readDockerfile(text: string): readonly Stage[] {
  const stages: (Stage & { readonly instructions: Instruction[] })[] = [];
  for (const instruction of instructionsIn(text)) {
    if (instruction.name === "FROM") {
      const [from = "", , name] = instruction.text.split(/\s+/);
      stages.push({ name, from, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

/** A command as it is started: written as JSON as it stands, and otherwise by a shell. */
export function commandIn(text: string): readonly string[] {
  return text.startsWith("[") ? JSON.parse(text) : ["/bin/sh", "-c", text];
}

function instructionsIn(text: string): Instruction[] {
  const found: Instruction[] = [];
  let whole = "";
  let start = 0;
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    if (whole === "") start = index + 1;
    whole += line.trim();
    if (whole.endsWith("\\")) {
      whole = whole.slice(0, -1);
      continue;
    }
    found.push({ line: start, ...partsOf(whole) });
    whole = "";
  }
  return found;
}

function partsOf(whole: string): Omit<Instruction, "line"> {
  const [, name = "", options = "", text = ""] = whole.match(/^(\w+)\s+((?:--[\w-]+=\S+\s+)*)(.*)$/) ?? [];
  return {
    name,
    options: Object.fromEntries(Array.from(options.matchAll(/--([\w-]+)=(\S+)/g), ([, k, v]) => [k, v])),
    text,
  };
}
