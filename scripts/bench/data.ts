/** The data that is measured on; each set is made once, the same bytes on every machine, and kept. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomNumbers } from "./random-numbers.js";
import type { Place } from "./task.js";

/**
 * `linux`: the kernel's source, 79,000 files, 1.3 GB. `big`: random.bin of 2 GiB that nothing compresses and text.b64 of
 * 1 GiB. `flat`: 100,000 small files in one directory. In short form all of them small.
 */
export type DataName = "linux" | "big" | "flat";

/** Makes the set unless it is there. @returns its path */
export function makeData(place: Place, name: DataName): string {
  const path = join(place.data, name);
  if (existsSync(path)) return path;
  console.error(`bench: making ${path}`);
  const partial = partialOf(path);
  mkdirSync(partial, { recursive: true });
  (place.short ? SMALL : FULL)[name](partial);
  renameSync(partial, path);
  return path;
}

/** Where something is made before it gets its name: what bears its name is whole. */
export function partialOf(path: string): string {
  const partial = `${path}.partial`;
  rmSync(partial, { recursive: true, force: true });
  return partial;
}

type Makers = Readonly<Record<DataName, (path: string) => void>>;

const FULL: Makers = {
  linux: makeKernelSource,
  big: (path) => makeBigFiles(path, 2048),
  flat: (path) => makeFlatFolder(path, 100_000),
};

const SMALL: Makers = {
  linux: makeSmallSource,
  big: (path) => makeBigFiles(path, 32),
  flat: (path) => makeFlatFolder(path, 2_000),
};

/** The kernel's source as the distribution packages it. */
function makeKernelSource(path: string): void {
  const folder = mkdtempSync(join(tmpdir(), "yore-linux-"));
  try {
    shell(
      'apt-get -qq -o "APT::Sandbox::User=$(id -un)" download linux-source-6.1 && dpkg -x ./*.deb .',
      folder,
    );
    shell(`tar -C '${path}' -xf usr/src/linux-source-*.tar.xz`, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Something of the same shape: folders named as the tasks name them, a Makefile in each, text in small files. */
function makeSmallSource(path: string): void {
  const random = randomNumbers(1);
  for (const folder of ["arch", "drivers", "fs", "mm"]) {
    for (let i = 0; i < 10; i++) {
      const inner = join(path, "source", folder, `part-${i}`);
      mkdirSync(inner, { recursive: true });
      writeFileSync(join(inner, "Makefile"), `obj-y += part-${i}.o\n`);
      for (let j = 0; j < (folder === "mm" ? 5 : 50); j++) {
        writeFileSync(join(inner, `file-${j}.c`), `${folder} ${i} ${j} kmalloc\n`.repeat(random(1000)));
      }
    }
  }
}

/** Random bytes, and half as many of base64 text: it compresses to about 3/4, and nothing repeats. */
function makeBigFiles(path: string, mebibytes: number): void {
  shell(`${stream("one")} | head -c ${mebibytes}M > random.bin`, path);
  shell(`${stream("two")} | head -c ${(mebibytes * 3) / 8}M | base64 -w 76 > text.b64`, path);
}

function makeFlatFolder(path: string, files: number): void {
  for (let i = 0; i < files; i++) {
    writeFileSync(join(path, `file-${String(i).padStart(7, "0")}`), `${i}\n`.repeat(1 + (i % 50)));
  }
}

/** A command that prints bytes without end that look random and are the same each time. */
function stream(seed: string): string {
  return `(openssl enc -aes-256-ctr -nosalt -pass pass:${seed} -md sha256 -pbkdf2 -iter 1 </dev/zero 2>/dev/null || true)`;
}

function shell(line: string, cwd: string): void {
  execFileSync("bash", ["-c", line], { cwd, stdio: ["ignore", "ignore", "inherit"] });
}
