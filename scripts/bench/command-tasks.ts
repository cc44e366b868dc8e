/** Commands that read a repository and print what they found: what they print must agree with the other program's. */
import { basename } from "node:path";
import { type DataName, makeData } from "./data.js";
import { dropPageCache, measure } from "./measure.js";
import {
  checkWhole,
  copyRepository,
  environmentOf,
  makeRepository,
  type RepositoryEnv,
  type RepositoryName,
  snapshotsOf,
} from "./repositories.js";
import { serveDelayed } from "./rest-server.js";
import type { Place, Task } from "./task.js";

interface Asking {
  readonly name: string;
  readonly what: string;
  readonly repository: RepositoryName;
  readonly args: readonly string[];
  /** What the two programs must agree on, out of what they print. */
  readonly proof: (stdout: string) => string;
  /** The repository lies behind the real rest-server, and each request takes so much longer. */
  readonly delayMs?: number;
  /** The files of the repository that must be read, as patterns of the shell: `cat` of them is the limit. */
  readonly reads?: string;
}

function askingTask({ name, what, repository, args, proof, delayMs, reads }: Asking): Task {
  return {
    name,
    what,
    async run(program, place) {
      const path = await makeRepository(place, repository);
      const served = delayMs === undefined ? undefined : await serveDelayed(place.data, delayMs);
      try {
        const env = environmentOf(path, served?.locationOf(basename(path)));
        dropPageCache();
        const { sample, stdout } = await measure({ argv: [...program.argv, ...args], env });
        return { sample, proof: proof(stdout) };
      } finally {
        await served?.close();
      }
    },
    ...(reads
      ? { limit: async (place: Place) => catOf(await makeRepository(place, repository), reads) }
      : {}),
  };
}

/** Reads files of a repository and does nothing with them. */
export async function catOf(repository: string, patterns: string) {
  dropPageCache();
  const { sample } = await measure({
    argv: ["bash", "-c", `cd '${repository}' && cat ${patterns} >/dev/null`],
  });
  return { sample };
}

/** The lines that are paths, in order: their number and the last of them. */
export function paths(stdout: string): string {
  const lines = stdout
    .split("\n")
    .filter((line) => line.startsWith("/"))
    .sort();
  return `${lines.length} paths up to ${lines.at(-1)}`;
}

const numberOfSnapshots = (stdout: string) => /^(\d+) snapshots$/m.exec(stdout)?.[0] ?? "no snapshots";
const succeeded = () => "success";

const ASKINGS: readonly Asking[] = [
  { name: "ls", what: "`ls latest` (`linux`)", repository: "linux", args: ["ls", "latest"], proof: paths },
  {
    name: "find-command",
    what: "`find Makefile` (`linux`)",
    repository: "linux",
    args: ["find", "Makefile"],
    proof: paths,
  },
  { name: "check", what: "`check` (`linux`)", repository: "linux", args: ["check"], proof: succeeded },
  {
    name: "snapshots",
    what: "`snapshots` (`linux`)",
    repository: "linux",
    args: ["snapshots"],
    proof: numberOfSnapshots,
  },
  {
    name: "check-data",
    what: "`check --read-data` (`linux` and `big`)",
    repository: "linux+big",
    args: ["check", "--read-data"],
    proof: succeeded,
    reads: "data/*/*",
  },
  {
    name: "history-snapshots",
    what: "`snapshots` (`history`)",
    repository: "history",
    args: ["snapshots"],
    proof: numberOfSnapshots,
  },
  {
    name: "history-ls",
    what: "`ls latest` (`history`)",
    repository: "history",
    args: ["ls", "latest"],
    proof: paths,
  },
  {
    name: "history-stats",
    what: "`stats` of all of `history`",
    repository: "history",
    args: ["stats", "--json"],
    proof: (stdout) => {
      const { total_size, total_file_count } = JSON.parse(stdout) as Record<string, number>;
      return `${total_file_count} files, ${total_size} bytes`;
    },
  },
  ...(
    [
      ["snapshots", "history", numberOfSnapshots],
      ["ls latest", "linux", paths],
      ["check", "history", succeeded],
    ] as const
  ).map(([command, repository, proof]) => ({
    name: `${command.split(" ")[0]}-delay`,
    what: `\`${command}\` (\`${repository}\`) over REST, 50 ms a request`,
    repository,
    args: command.split(" "),
    proof,
    delayMs: 50,
  })),
];

/** An archive of everything is made and taken apart again: with both programs the files must hold as many bytes. */
function dumpTask(data: DataName): Task {
  const unpack = "tar -x --to-stdout | wc -c";
  const measurePipe = (argv: readonly string[], env?: RepositoryEnv) => {
    dropPageCache();
    return measure({
      argv: ["bash", "-o", "pipefail", "-c", `"$@" | ${unpack}`, "bash", ...argv],
      ...(env && { env }),
    });
  };
  return {
    name: `dump-${data}`,
    what: `\`dump latest /\` of \`${data}\`, unpacked by \`tar\``,
    async run(program, place) {
      const env = environmentOf(await makeRepository(place, data));
      const { sample, stdout } = await measurePipe([...program.argv, "dump", "latest", "/"], env);
      return { sample, proof: `${stdout.trim()} bytes` };
    },
    async limit(place) {
      const { sample } = await measurePipe(["tar", "-c", "-f", "-", makeData(place, data)]);
      return { sample };
    },
  };
}

const KEPT = 3;

const treesOf = async (env: RepositoryEnv) => (await snapshotsOf(env)).map((snapshot) => snapshot.tree);

const historyPrune: Task = {
  name: "history-prune",
  what: "`forget --keep-last 3 --prune` (`history`)",
  async run(program, place) {
    const env = await copyRepository(place, "history");
    const kept = (await treesOf(env)).slice(-KEPT);
    dropPageCache();
    const argv = [...program.argv, "forget", "--keep-last", String(KEPT), "--prune"];
    const { sample } = await measure({ argv, env });
    await checkWhole(env);
    const trees = (await treesOf(env)).join();
    if (trees !== kept.join()) throw new Error(`forget kept ${trees}, expected ${kept.join()}`);
    return { sample, proof: trees };
  },
};

export const COMMANDS: readonly Task[] = [
  ...ASKINGS.map(askingTask),
  historyPrune,
  dumpTask("linux"),
  dumpTask("big"),
];
