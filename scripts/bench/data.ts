/** The data that is measured on; each set is made once and kept. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type DataName = "linux" | "big" | "flat" | "small";

/** Makes the set below `folder` unless it is there. @returns its path */
export function makeData(folder: string, name: DataName): string {
  const path = join(folder, name);
  const complete = join(folder, `${name}.complete`);
  if (existsSync(complete) || existsSync(join(path, ".complete"))) return path;
  console.error(`bench: making ${name}`);
  mkdirSync(path, { recursive: true });
  MAKERS[name](path);
  writeFileSync(complete, "");
  return path;
}

const MAKERS: Readonly<Record<DataName, (path: string) => void>> = {
  /** The kernel's source as the distribution packages it: 79,000 files, 1.3 GB. */
  linux(path) {
    const folder = mkdtempSync(join(tmpdir(), "yore-linux-"));
    try {
      shell(
        'apt-get -qq -o "APT::Sandbox::User=$(id -un)" download linux-source-6.1 && dpkg -x ./*.deb .',
        folder,
      );
      shell(`tar -C "${path}" -xf usr/src/linux-source-*.tar.xz`, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  /** 2 GiB that nothing compresses, 1 GiB of base64 text. */
  big(path) {
    shell(`${stream("one")} | head -c ${2 * 1024 ** 3} > random.bin`, path);
    shell(`${stream("two")} | head -c ${768 * 1024 ** 2} | base64 -w 76 > text.b64`, path);
  },
  /** 100,000 small files in one directory. */
  flat(path) {
    for (let i = 0; i < 100_000; i++) {
      writeFileSync(join(path, `file-${String(i).padStart(7, "0")}`), `${i}\n`.repeat(1 + (i % 50)));
    }
  },
  /** For the short form: 3,000 small files and one of 64 MiB. */
  small(path) {
    for (let i = 0; i < 3_000; i++) {
      const folder = join(path, `d${i % 60}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `file-${i}`), `${i} all work and no play\n`.repeat(1 + (i % 400)));
    }
    shell(`${stream("small")} | head -c ${64 * 1024 ** 2} > random.bin`, path);
  },
};

/** A command that prints bytes without end that look random and are the same each time. */
function stream(seed: string): string {
  return `(openssl enc -aes-256-ctr -nosalt -pass pass:${seed} -md sha256 -pbkdf2 -iter 1 </dev/zero 2>/dev/null || true)`;
}

function shell(line: string, cwd: string): void {
  execFileSync("bash", ["-c", line], { cwd, stdio: ["ignore", "ignore", "inherit"] });
}
