/**
 * What people do in a mount. The same command reads the plain data: that is the limit, and its output is what the mount must
 * give as well. The last process of each pipe counts or sums, so that an error cannot look fast.
 */
import { basename, join } from "node:path";
import { type DataName, makeData } from "./data.js";
import { dropPageCache, measure, type Sample } from "./measure.js";
import { Mounted } from "./mounted.js";
import type { Program } from "./programs.js";
import { environmentOf, makeRepository, type RepositoryEnv } from "./repositories.js";
import { serveDelayed } from "./rest-server.js";
import type { Outcome, Place, Task } from "./task.js";

export interface Reading {
  readonly name: string;
  readonly what: string;
  readonly data: DataName;
  /** The shell command that reads `folder`; what it prints is the proof. */
  readonly shell: (folder: string, place: Place) => string;
  /**
   * A command that gives the proof in place of the first one, after it, in the same mount, and its time does not count. It
   * may take as long as the task itself, so it runs once for each program.
   */
  readonly proof?: (folder: string) => string;
  /** It runs once before it counts, so that all caches are as warm as they get. */
  readonly again?: boolean;
  /** Global flags of the program. */
  readonly flags?: readonly string[];
  /** The repository lies behind the real rest-server, and each request takes so much longer. */
  readonly delayMs?: number;
  /**
   * The program's cache on the disk, where it is not what a backup from this machine leaves: `empty`, as on a machine that has
   * never seen the repository, or `used`, as an earlier mount leaves it in which the same was read.
   */
  readonly cache?: "empty" | "used";
  readonly tolerance?: number;
}

/** A task in a fresh mount of a repository of which nothing is in the page cache. */
export function readingTask(reading: Reading): Task {
  const proofs = new Map<string, string>();
  return {
    name: reading.name,
    what: reading.what,
    ...(reading.tolerance === undefined ? {} : { tolerance: reading.tolerance }),
    async run(program, place) {
      const repository = await makeRepository(place, reading.data);
      const served =
        reading.delayMs === undefined ? undefined : await serveDelayed(place.data, reading.delayMs);
      try {
        const env = {
          ...environmentOf(repository, served?.locationOf(basename(repository))),
          ...(reading.cache && { RESTIC_CACHE_DIR: join(place.scratch, "cache") }),
        };
        const readOnce = () => inMount(program, env, reading, place, proofs.get(program.name));
        if (reading.cache === "used") await readOnce();
        const outcome = await readOnce();
        proofs.set(program.name, outcome.proof);
        return outcome;
      } finally {
        await served?.close();
      }
    },
    limit(place) {
      const folder = makeData(place, reading.data);
      dropPageCache();
      return read(reading, folder, place, { measure: (argv) => measure({ argv }) });
    },
  };
}

async function inMount(
  program: Program,
  env: RepositoryEnv,
  reading: Reading,
  place: Place,
  known: string | undefined,
): Promise<Outcome> {
  dropPageCache();
  const mounted = await Mounted.start(program, env, reading.flags);
  try {
    return await read(reading, join(mounted.latest, place.data, reading.data), place, mounted, known);
  } finally {
    await mounted.stop();
  }
}

/** Something that runs and measures a command: a mount, which adds what its server used, or nothing but the machine. */
type Meter = { measure(argv: readonly string[]): Promise<{ sample: Sample; stdout: string }> };

async function read(
  reading: Reading,
  folder: string,
  place: Place,
  meter: Meter,
  known?: string,
): Promise<Outcome> {
  const argv = inShell(reading.shell(folder, place));
  if (reading.again) await meter.measure(argv);
  const { sample, stdout } = await meter.measure(argv);
  if (!reading.proof) return { sample, proof: stdout.trim() };
  const proof = known ?? (await meter.measure(inShell(reading.proof(folder)))).stdout.trim();
  return { sample, proof };
}

function inShell(line: string): string[] {
  return ["bash", "-o", "pipefail", "-c", line];
}

/** From the start of the program until a listing of the newest snapshot stands on the screen. */
export const firstListing: Task = {
  name: "mount-ls",
  what: "mount of `linux` until the first `ls` answers",
  async run(program, place) {
    const env = environmentOf(await makeRepository(place, "linux"));
    dropPageCache();
    const mounted = await Mounted.start(program, env);
    try {
      const { sample, stdout } = await mounted.measure(["ls", mounted.latest]);
      return {
        sample: { ...mounted.account(), seconds: mounted.mountSeconds + sample.seconds },
        proof: stdout.trim(),
      };
    } finally {
      await mounted.stop();
    }
  },
};

/** Entries, and bytes of the regular ones: the size of a folder is the file system's own affair. */
const COUNT = `awk '{ n++ } $3 ~ /^-/ { bytes += $7 } END { printf "%d %.0f\\n", n, bytes }'`;

const findAll = (folder: string) => find(`'${folder}'`);

const find = (...folders: string[]) => `find ${folders.join(" ")} -ls | ${COUNT}`;

/** In the order of names, so that the checksum is of all bytes, names, modes, owners and times. */
const tar = (folder: string) => `tar --sort=name -C ${folder} -cf - . | cksum`;

/** A copy that is thrown away costs no writing; the checksum is taken after it, from the same mount. */
const copyOf = (name: string) => ({
  data: "big" as const,
  shell: (folder: string) => `cp '${folder}/${name}' /dev/null`,
  proof: (folder: string) => `cksum <'${folder}/${name}'`,
});

const RANDOM_READS = join(import.meta.dirname, "random-reads.js");

const linux = { data: "linux" } as const;

export const READINGS: readonly Reading[] = [
  { ...linux, name: "find", what: "`find -ls` of `linux` in the mount, first time", shell: findAll },
  { ...linux, name: "find-again", what: "the same again", shell: findAll, again: true },
  {
    ...linux,
    name: "du",
    what: "`du -s` of `linux` in the mount",
    shell: (folder) => `du -s '${folder}' | cut -f 1`,
    // Blocks are the file system's own affair: ext4 rounds each file up to 4 KiB.
    tolerance: 0.25,
  },
  {
    ...linux,
    name: "grep",
    what: "`grep -r` over `linux` in the mount",
    shell: (folder) => `grep -raFh kmalloc '${folder}' | wc -lc`,
  },
  { ...linux, name: "tar", what: "`tar` of `linux` out of the mount", shell: tar },
  {
    ...linux,
    name: "tar-no-cache",
    what: "`tar` of `linux/*/arch` (16,800 files) with `--no-cache`",
    shell: (folder) => tar(`'${folder}'/*/arch`),
    flags: ["--no-cache"],
  },
  { ...copyOf("random.bin"), name: "cp-random", what: "`cp` of the 2 GiB file out of the mount, cold" },
  { ...copyOf("text.b64"), name: "cp-text", what: "`cp` of the 1 GiB file out of the mount, cold" },
  {
    data: "big",
    name: "cp-no-cache",
    what: "the 2 GiB file read with `--no-cache`, cold",
    shell: (folder) => `cksum <'${folder}/random.bin'`,
    flags: ["--no-cache"],
  },
  {
    name: "random-reads",
    what: "random 4 KiB reads in the 2 GiB file, 8 readers, 2,000 reads",
    data: "big",
    shell: (folder, place) =>
      `UV_THREADPOOL_SIZE=8 '${process.execPath}' '${RANDOM_READS}' '${folder}/random.bin' ${place.short ? 20 : 250}`,
  },
  {
    name: "ls-flat",
    what: "`ls -lU` of `flat` in the mount",
    data: "flat",
    shell: (folder) => `ls -lU '${folder}' | awk '{ n++; bytes += $5 } END { print n, bytes }'`,
  },
  {
    ...linux,
    name: "find-delay",
    what: "`find -ls` of `linux` over REST, 50 ms a request, nothing in the cache",
    shell: findAll,
    delayMs: 50,
    cache: "empty",
  },
  {
    ...linux,
    name: "find-delay-again",
    what: "the same in another mount, from the cache",
    shell: findAll,
    delayMs: 50,
    cache: "used",
  },
  {
    ...linux,
    name: "find-delay-no-cache",
    what: "`find -ls` of `linux/*/mm` and `linux/*/fs` over REST, 50 ms a request, with `--no-cache`",
    shell: (folder) => find(`'${folder}'/*/mm`, `'${folder}'/*/fs`),
    delayMs: 50,
    flags: ["--no-cache"],
  },
  {
    ...linux,
    name: "tar-delay",
    what: "`tar` of `linux/*/mm` (176 files) over REST, 50 ms a request",
    shell: (folder) => tar(`'${folder}'/*/mm`),
    delayMs: 50,
  },
  {
    data: "big",
    name: "cp-delay",
    what: "the first 256 MiB of the 2 GiB file over REST, 50 ms a request",
    shell: (folder) => `head -c 256M '${folder}/random.bin' | cksum`,
    delayMs: 50,
  },
];
