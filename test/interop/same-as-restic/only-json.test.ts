import { beforeAll, describe, expect, it } from "vitest";
import { missingPeer } from "../../support/run.js";
import { Playground, use } from "./playground.js";
import { USES_THAT_WRITE } from "./uses-that-write.js";

/** Every command that prints something, also those of which restic has no JSON. */
const TALKING = [
  ...["snapshots", "ls latest", "find *", "find --blob --show-pack-id BLOB", "diff OLD NEW", "stats"],
  ...[
    "cat config",
    "check",
    "check --read-data",
    "list packs",
    "list blobs",
    "key list",
    "version",
    "options",
  ],
  ...["features", "cache", "cache --cache-dir TARGET --cleanup", "migrate", "unlock", "prune -n"],
  ...["dump -t TARGET/out latest FILES/a.txt", "restore latest -t TARGET", "backup -n FILES"],
  ...["forget -n --keep-last 1", "rewrite -n -e *.txt", "tag --add x", "self-update"],
].map((line) => use(line, line.startsWith("cache") ? { target: "cache" } : {}));

/** There is nothing to migrate, with restic as well. */
const FAILS = "migrate --force upgrade_repo_v2";

const SEEN = new Set<string>();

/** Of the uses that write, the first of each command and those that have something to mend. */
const WRITING = USES_THAT_WRITE.filter(({ line, state }) => {
  if (line === FAILS) return false;
  const [command] = line.split(/ (?=-|[A-Z/])/);
  const key = `${command} ${state ?? ""} ${line.includes("--prune")}`;
  if (SEEN.has(key)) return false;
  SEEN.add(key);
  return true;
});

describe.skipIf(missingPeer("restic"))("with --json, the standard output is JSON and nothing else:", () => {
  let playground: Playground;

  beforeAll(async () => {
    playground = await Playground.create();
  }, 120_000);

  it.each([...TALKING, ...WRITING].map((one, i) => [one.line, one, i] as const))(
    "%s",
    async (_, one, i) => {
      const [front, behind] = one.line.replace(" --json", "").split(" -- ");
      const line = behind ? `${front} --json -- ${behind}` : `${front} --json`;
      const { result } = await playground.once("yore", { ...one, line }, i);
      expect([0, 3], result.stderr).toContain(result.code);
      // Values may go over several lines, as restic's `cat` does.
      const isOneValue = line.startsWith("cat");
      for (const text of isOneValue
        ? [result.stdout]
        : result.stdout.split("\n").filter((text) => text !== ""))
        expect(() => JSON.parse(text), text).not.toThrow();
    },
    60_000,
  );
});
