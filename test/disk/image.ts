/** A disk that a test may take the power from, or make read-only: an ext4 file system in a file. */
import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program, root } from "../support/machine.ts";
import { temporaryFolder, whenDone } from "../support/temp.ts";
import { compiled } from "./shim.ts";

/** The hub keeps 64 MiB of its disk free. */
const imageBytes = 160 * 1_024 * 1_024;

interface Programs {
  readonly cut: string;
  readonly makeFileSystem: string;
}

/** What it takes; nothing, after a word about it, where the machine has it not. */
export function imagePrograms(): Programs | undefined {
  const [isRoot, compiler, makeFileSystem] = [root(), program("cc"), program("mkfs.ext4")];
  if (!isRoot || compiler === undefined || makeFileSystem === undefined) return undefined;
  return { cut: compiled(compiler, "cut.c", "cut"), makeFileSystem };
}

export class Image {
  /** Where it is mounted. */
  readonly folder: string;
  readonly #file: string;
  readonly #programs: Programs;

  /** One of its own for the running test, mounted. */
  constructor(programs: Programs) {
    const parent = temporaryFolder();
    this.#programs = programs;
    this.#file = join(parent, "image");
    this.folder = join(parent, "disk");
    writeFileSync(this.#file, "");
    truncateSync(this.#file, imageBytes);
    execFileSync(programs.makeFileSystem, ["-q", this.#file]);
    mkdirSync(this.folder);
    this.#mount();
    whenDone(() => void execFileSync("umount", ["--lazy", this.folder]));
  }

  /** Everything that was not flushed is gone. The file system answers nothing but errors, until the power is back. */
  cut(): void {
    execFileSync(this.#programs.cut, [this.folder]);
  }

  /** The power comes back, and with it what was flushed. Nobody may use it any more. */
  restore(): void {
    execFileSync("umount", [this.folder]);
    this.#mount();
  }

  remount(how: "ro" | "rw"): void {
    execFileSync("mount", ["-o", `remount,${how}`, this.folder]);
  }

  #mount(): void {
    execFileSync("mount", ["-o", "loop", this.#file, this.folder]);
  }
}

/**
 * What starts a program on a machine that seems to have been started anew: LMDB goes by the id that Linux gives each
 * start, and believes after a mere crash what a loss of power would have taken.
 */
export function afterReboot(): readonly string[] {
  const file = join(temporaryFolder(), "boot-id");
  writeFileSync(file, `${crypto.randomUUID()}\n`);
  const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, file];
}
