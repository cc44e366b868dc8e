import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, copyFileSync, fsyncSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingProgram } from "./run.js";
import { temporaryFolder } from "./temporary.js";

/** Loop devices, and what makes and mends the file system. */
export function canMakeLossyDisk(): boolean {
  return process.getuid?.() === 0 && !missingProgram("mkfs.ext4") && !missingProgram("e2fsck");
}

/**
 * A disk of 32 MiB that can be looked at as it would be after a loss of power: what is in the kernel's memory only is not
 * there. It is ext4 without a journal, the one of the usual file systems that writes down nothing but what it is asked to;
 * of its own accord only after half a minute.
 */
export class LossyDisk {
  readonly #image: string;
  readonly #mounted: string[] = [];

  private constructor(
    readonly folder: string,
    image: string,
  ) {
    this.#image = image;
  }

  static async make(): Promise<LossyDisk> {
    const image = join(await temporaryFolder(), "image");
    execFileSync("truncate", ["-s", "32M", image]);
    execFileSync("mkfs.ext4", ["-q", "-b", "4096", "-I", "256", "-O", "^has_journal", image]);
    const disk = new LossyDisk(await temporaryFolder(), image);
    disk.#mount(image, disk.folder);
    return disk;
  }

  /** A folder whose inode is on another block of the disk than those of the files to come, which it would take along. */
  lonelyFolder(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    for (let i = 0; i < 32; i++) writeFileSync(join(this.folder, `${name}-${i}`), "");
    return folder;
  }

  /** Writes down all that there is. */
  settle(): void {
    execFileSync("sync", ["-f", this.folder]);
  }

  /** What the power leaves when it goes now: a folder like that of the disk. */
  async afterLoss(): Promise<string> {
    const picture = join(await temporaryFolder(), "picture");
    copyFileSync(this.#image, picture);
    const { status, stdout } = spawnSync("e2fsck", ["-fy", picture], { encoding: "utf8" });
    // 1: mended.
    if (status !== 0 && status !== 1) throw new Error(`e2fsck: ${status}\n${stdout}`);
    const folder = await temporaryFolder();
    this.#mount(picture, folder);
    return folder;
  }

  remove(): void {
    for (const folder of this.#mounted.splice(0).reverse()) execFileSync("umount", [folder]);
  }

  #mount(image: string, folder: string): void {
    execFileSync("mount", ["-o", "loop", image, folder]);
    this.#mounted.push(folder);
  }
}

/** What the kernel may do at any time: writes down what happened in a folder, and leaves others for later. */
export function writeDown(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
