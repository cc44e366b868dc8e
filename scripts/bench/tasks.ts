/** What is measured. A task prepares once, then runs once for each program in turn; what it returns is what it took. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DataName, makeData } from "./data.js";
import { dropPageCache, measure, run, type Sample } from "./measure.js";
import { Mounted } from "./mounted.js";
import { environmentOf, type Program, restic } from "./programs.js";

export interface Place {
  /** Where data sets and repositories are kept from run to run. */
  readonly data: string;
  /** Emptied after each task. */
  readonly scratch: string;
}

export interface Task {
  readonly name: string;
  readonly what: string;
  /** Part of the short form that only asks whether everything works. */
  readonly short?: boolean;
  run(program: Program, place: Place): Promise<Sample>;
  /** The same with no backup program at all: what the hardware and the kernel take. */
  limit?(place: Place): Promise<Sample>;
}

/** A repository that holds one set, made once by restic so that both programs read the very same bytes. */
async function repositoryOf(place: Place, name: DataName): Promise<string> {
  const repository = join(place.data, `${name}.repository`);
  const complete = join(repository, "config");
  const source = makeData(place.data, name);
  const env = environmentOf(repository);
  try {
    readdirSync(join(repository, "snapshots")).length > 0 || throwMissing(complete);
  } catch {
    rmSync(repository, { recursive: true, force: true });
    console.error(`bench: backing up ${name}`);
    await run({ argv: [...restic().argv, "--no-cache", "init"], env });
    await run({ argv: [...restic().argv, "--no-cache", "backup", source], env });
  }
  return repository;
}

function throwMissing(path: string): never {
  throw new Error(`${path} is incomplete`);
}

function backupTask(data: DataName, short?: boolean): Task {
  return {
    name: `backup-${data}`,
    what: `first backup of ${data}`,
    ...(short ? { short } : {}),
    async run(program, place) {
      const source = makeData(place.data, data);
      const repository = join(place.scratch, `${program.name}.repository`);
      const env = environmentOf(repository);
      await run({ argv: [...program.argv, "--no-cache", "init"], env });
      dropPageCache();
      return measure({ argv: [...program.argv, "--no-cache", "backup", source], env });
    },
    async limit(place) {
      const source = makeData(place.data, data);
      dropPageCache();
      return measure({ argv: ["cp", "-r", source, join(place.scratch, "copy")] });
    },
  };
}

function againTask(data: DataName, cold: boolean, short?: boolean): Task {
  return {
    name: `again-${data}-${cold ? "cold" : "warm"}`,
    what: `backup of ${data} again, nothing changed, ${cold ? "cold" : "warm"}`,
    ...(short ? { short } : {}),
    async run(program, place) {
      const source = makeData(place.data, data);
      const repository = join(place.scratch, `${program.name}.repository`);
      const env = environmentOf(repository);
      await run({ argv: [...program.argv, "--no-cache", "init"], env });
      await run({ argv: [...program.argv, "--no-cache", "backup", source], env });
      if (cold) dropPageCache();
      return measure({ argv: [...program.argv, "--no-cache", "backup", source], env });
    },
  };
}

function restoreTask(data: DataName, short?: boolean): Task {
  return {
    name: `restore-${data}`,
    what: `restore of ${data}`,
    ...(short ? { short } : {}),
    async run(program, place) {
      const env = environmentOf(await repositoryOf(place, data));
      const target = join(place.scratch, "target");
      dropPageCache();
      return measure({ argv: [...program.argv, "--no-cache", "restore", "latest", "--target", target], env });
    },
    async limit(place) {
      const source = makeData(place.data, data);
      dropPageCache();
      return measure({ argv: ["cp", "-r", source, join(place.scratch, "copy")] });
    },
  };
}

function commandTask(name: string, data: DataName, args: readonly string[], short?: boolean): Task {
  return {
    name,
    what: `${args.join(" ")} (${data})`,
    ...(short ? { short } : {}),
    async run(program, place) {
      const env = environmentOf(await repositoryOf(place, data));
      dropPageCache();
      return measure({ argv: [...program.argv, "--no-cache", ...args], env });
    },
  };
}

/** A task in a fresh mount; `warmUp` runs first and does not count. */
function mountTask(
  name: string,
  what: string,
  data: DataName,
  shell: (folder: string) => string,
  options: { readonly warmUp?: boolean; readonly short?: boolean } = {},
): Task {
  return {
    name,
    what,
    ...(options.short ? { short: true } : {}),
    async run(program, place) {
      const repository = await repositoryOf(place, data);
      dropPageCache();
      const mounted = await Mounted.start(program, repository);
      try {
        const folder = join(mounted.latest, place.data, data);
        const argv = ["bash", "-o", "pipefail", "-c", shell(folder)];
        if (options.warmUp) await mounted.measure(argv);
        return await mounted.measure(argv);
      } finally {
        await mounted.stop();
      }
    },
    async limit(place) {
      const argv = ["bash", "-o", "pipefail", "-c", shell(makeData(place.data, data))];
      dropPageCache();
      if (options.warmUp) await measure({ argv });
      return measure({ argv });
    },
  };
}

const firstLs: Task = {
  name: "mount-ls",
  what: "mount until the first ls answers (linux)",
  async run(program, place) {
    const repository = await repositoryOf(place, "linux");
    dropPageCache();
    const mounted = await Mounted.start(program, repository);
    try {
      const listing = await mounted.measure(["ls", mounted.latest]);
      return { ...mounted.account(), seconds: mounted.mountSeconds + listing.seconds };
    } finally {
      await mounted.stop();
    }
  },
};

/** Eight readers, each 1,000 reads of 4 KiB at places that are the same in each run. */
function randomReads(folder: string): string {
  const reader = (seed: number) =>
    `(RANDOM=${seed}; for i in {1..1000}; do dd if='${folder}/random.bin' of=/dev/null bs=4096 count=1 skip=$(( (RANDOM*32768+RANDOM) % 524288 )) status=none; done) &`;
  return `${Array.from({ length: 8 }, (_, i) => reader(i + 1)).join(" ")} wait`;
}

export const TASKS: readonly Task[] = [
  backupTask("small", true),
  againTask("small", false, true),
  restoreTask("small", true),
  commandTask("check-data-small", "small", ["check", "--read-data"], true),
  mountTask(
    "tar-small",
    "tar of small out of the mount",
    "small",
    (d) => `tar -cf - '${d}' | cat >/dev/null`,
    { short: true },
  ),
  backupTask("linux"),
  backupTask("big"),
  againTask("linux", true),
  againTask("linux", false),
  restoreTask("linux"),
  restoreTask("big"),
  firstLs,
  mountTask(
    "find",
    "find -ls of linux in the mount, first time",
    "linux",
    (d) => `find '${d}' -ls >/dev/null`,
  ),
  mountTask("find-again", "the same again", "linux", (d) => `find '${d}' -ls >/dev/null`, { warmUp: true }),
  mountTask("du", "du -s of linux in the mount", "linux", (d) => `du -s '${d}' >/dev/null`),
  mountTask(
    "grep",
    "grep -r over linux in the mount",
    "linux",
    (d) => `grep -r no-such-word '${d}' >/dev/null; true`,
  ),
  mountTask("tar", "tar of linux out of the mount", "linux", (d) => `tar -cf - '${d}' | cat >/dev/null`),
  mountTask(
    "cp-random",
    "cp of the 2 GiB file out of the mount, cold",
    "big",
    (d) => `cp '${d}/random.bin' /dev/null`,
  ),
  mountTask(
    "cp-text",
    "cp of the 1 GiB file out of the mount, cold",
    "big",
    (d) => `cp '${d}/text.b64' /dev/null`,
  ),
  mountTask("random-reads", "random 4 KiB reads in the 2 GiB file, 8 readers", "big", randomReads),
  mountTask("ls-flat", "ls -lU of flat in the mount", "flat", (d) => `ls -lU '${d}' >/dev/null`),
  commandTask("ls", "linux", ["ls", "latest"]),
  commandTask("check", "linux", ["check"]),
  commandTask("check-data", "linux", ["check", "--read-data"]),
  commandTask("snapshots", "linux", ["snapshots"]),
];

/** An empty folder for one run of one task. */
export function freshScratch(place: Place): void {
  rmSync(place.scratch, { recursive: true, force: true });
  mkdirSync(place.scratch, { recursive: true });
}
