import { cp, mkdir, readdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticSays } from "../support/interop.js";
import { missingPeer, type RunResult, run, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/**
 * One line a use of the command line: both programs do it to a copy of the same repository. Exit code, what is said and
 * what has become of the repository, as restic sees it, must be the same. What differs on purpose is in docs/restic.md
 * and is not asked here.
 */
interface Use {
  readonly args: readonly string[];
  /**
   * What of the standard output is compared: as it is, its lines in any order (restic's is random), or nothing. JSON when
   * `--json` is among the arguments.
   */
  readonly output?: "text" | "lines" | "nothing";
}

/** `FILES` is the folder that was backed up, `TARGET` an empty one; `OLD` and `NEW` are the IDs of two snapshots. */
const READING: readonly Use[] = [
  { args: ["snapshots", "--json"] },
  { args: ["snapshots", "--json", "--latest", "1"] },
  { args: ["snapshots", "--json", "--group-by", "host"] },
  { args: ["snapshots", "--json", "--tag", "daily"] },
  { args: ["snapshots", "--json", "--tag", "daily,blue", "--host", "one"] },
  { args: ["snapshots", "--json", "--path", "FILES"] },
  { args: ["snapshots", "--json", "OLD", "latest"] },
  { args: ["ls", "--json", "latest"] },
  { args: ["ls", "latest"], output: "text" },
  { args: ["ls", "-l", "latest"], output: "text" },
  { args: ["ls", "--human-readable", "-l", "--sort", "size", "--reverse", "latest"], output: "text" },
  { args: ["ls", "latest", "FILES/sub"], output: "text" },
  { args: ["ls", "--recursive", "latest", "FILES/sub"], output: "text" },
  { args: ["ls", "latest:FILES/sub"], output: "text" },
  { args: ["ls", "--ncdu", "latest"], output: "nothing" },
  { args: ["find", "--json", "*.txt"] },
  { args: ["find", "-i", "-l", "A*"], output: "text" },
  { args: ["find", "--json", "-s", "OLD", "link"] },
  { args: ["find", "-N", "2020-01-01", "-O", "2000-01-01", "*"], output: "text" },
  { args: ["diff", "--json", "OLD", "NEW"] },
  { args: ["diff", "--metadata", "OLD", "NEW"], output: "text" },
  { args: ["diff", "OLD:FILES/sub", "NEW:FILES/sub"], output: "text" },
  { args: ["stats", "--json"] },
  { args: ["stats", "--json", "--mode", "files-by-contents"] },
  { args: ["stats", "--json", "--mode", "raw-data"] },
  { args: ["stats", "--json", "--mode", "blobs-per-file", "latest"] },
  { args: ["cat", "config"], output: "text" },
  { args: ["cat", "snapshot", "OLD"], output: "text" },
  { args: ["cat", "tree", "OLD:FILES"], output: "text" },
  { args: ["list", "snapshots"], output: "lines" },
  { args: ["list", "index"], output: "lines" },
  { args: ["list", "packs"], output: "lines" },
  { args: ["dump", "latest", "FILES/a.txt"], output: "text" },
  { args: ["check", "--json"] },
  { args: ["check", "--read-data"], output: "nothing" },
  { args: ["forget", "--json", "-n", "--keep-last", "1"] },
  { args: ["forget", "--json", "-n", "--keep-daily", "2", "--keep-tag", "blue", "--group-by", ""] },
  { args: ["forget", "--json", "-n", "--keep-within", "1y", "--group-by", "host"] },
  { args: ["restore", "--json", "latest", "--target", "TARGET"], output: "nothing" },
  { args: ["restore", "latest:FILES/sub", "--target", "TARGET"], output: "nothing" },
  { args: ["restore", "OLD", "--target", "TARGET", "--include", "*.txt"], output: "nothing" },
  {
    args: ["restore", "OLD", "--target", "TARGET", "--exclude", "sub", "--sparse", "--verify"],
    output: "nothing",
  },
];

const FAILING: readonly Use[] = [
  { args: ["ls", "ffffffff"], output: "nothing" },
  { args: ["ls", "--tag", "nobody", "latest"], output: "nothing" },
  { args: ["cat", "snapshot", "ffffffff"], output: "nothing" },
  { args: ["cat", "nonsense"], output: "nothing" },
  { args: ["dump", "latest", "/nowhere"], output: "nothing" },
  { args: ["restore", "latest"], output: "nothing" },
  { args: ["diff", "OLD"], output: "nothing" },
  { args: ["tag", "--set", "a", "--add", "b"], output: "nothing" },
  { args: ["forget", "--keep-last", "-2"], output: "nothing" },
  { args: ["forget", "--keep-last", "many"], output: "nothing" },
  { args: ["prune", "--max-unused", "lots"], output: "nothing" },
  { args: ["rewrite", "-e", "a", "-i", "b"], output: "nothing" },
  { args: ["key", "remove", "ffffffff"], output: "nothing" },
  { args: ["check", "--read-data", "--read-data-subset", "1/2"], output: "nothing" },
  { args: ["backup", "/nowhere/at/all"], output: "nothing" },
  { args: ["backup"], output: "nothing" },
  { args: ["stats", "--mode", "wrong"], output: "nothing" },
  { args: ["nonsense"], output: "nothing" },
];

const WRITING: readonly Use[] = [
  { args: ["backup", "--json", "--host", "one", "FILES"], output: "nothing" },
  { args: ["backup", "--tag", "x,y", "--host", "three", "--exclude", "*.txt", "FILES"], output: "nothing" },
  { args: ["backup", "--host", "one", "--skip-if-unchanged", "FILES"], output: "nothing" },
  { args: ["backup", "--host", "one", "-n", "FILES"], output: "nothing" },
  { args: ["backup", "--time", "2021-02-03 04:05:06", "--force", "FILES/sub"], output: "nothing" },
  { args: ["tag", "--add", "new", "OLD"], output: "nothing" },
  { args: ["tag", "--set", "only"], output: "nothing" },
  { args: ["tag", "--remove", "daily", "--host", "one"], output: "nothing" },
  { args: ["forget", "OLD"], output: "nothing" },
  { args: ["forget", "--keep-last", "1", "--group-by", ""], output: "nothing" },
  {
    args: ["forget", "--keep-last", "1", "--keep-tag", "blue", "--prune", "--max-unused", "0"],
    output: "nothing",
  },
  { args: ["forget", "--unsafe-allow-remove-all", "--host", "one", "--keep-last", "0"], output: "nothing" },
  { args: ["rewrite", "--exclude", "a.txt"], output: "nothing" },
  { args: ["rewrite", "--forget", "--exclude", "sub", "latest"], output: "nothing" },
  { args: ["rewrite", "--forget", "--new-host", "other", "OLD"], output: "nothing" },
  { args: ["prune", "--max-unused", "0"], output: "nothing" },
  { args: ["repair", "index"], output: "nothing" },
  { args: ["repair", "snapshots"], output: "nothing" },
  { args: ["recover"], output: "nothing" },
  { args: ["unlock"], output: "nothing" },
];

/** Every command that prints something, and those that change something. */
const TALKING: readonly Use[] = [
  ...[
    "snapshots",
    "ls latest",
    "find *",
    "diff OLD NEW",
    "stats",
    "cat config",
    "check",
    "list packs",
    "key list",
  ],
  ...["version", "options", "features", "cache", "migrate", "recover", "repair index", "unlock", "prune -n"],
].map((line) => ({ args: [...line.split(" "), "--json"] }));

describe.skipIf(missingPeer("restic"))("with the same arguments, yore and restic do the same:", () => {
  let top: string;
  let files: string;
  const ids: string[] = [];

  beforeAll(async () => {
    top = await temporaryFolder();
    files = join(top, "files");
    const env = environment("base");
    await mkdir(join(files, "sub/deep"), { recursive: true });
    await writeFile(join(files, "a.txt"), "first");
    await writeFile(join(files, "sub/A big one"), Buffer.alloc(3_000_000, "0123456789abcdef"));
    await writeFile(join(files, "sub/deep/c.txt"), "deep");
    await symlink("a.txt", join(files, "link"));
    await utimes(join(files, "a.txt"), 1_500_000_000, 1_500_000_000);
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(join(top, "base"), "geheim");
    const backup = async (host: string, time: string, ...tags: string[]) => {
      await resticSays(env, ["backup", "-q", "--host", host, "--time", time, ...tags, files]);
    };
    await backup("one", "2024-01-01 10:00:00", "--tag", "daily,blue");
    await backup("one", "2024-01-02 10:00:00", "--tag", "daily");
    await writeFile(join(files, "sub/new.txt"), "new");
    await writeFile(join(files, "a.txt"), "second");
    await backup("two", "2024-02-01 10:00:00");
    await backup("one", "2024-03-01 10:00:00", "--tag", "blue");
    const all = JSON.parse(await resticSays(env, ["snapshots", "--json"])) as { id: string }[];
    ids.push(...all.map(({ id }) => id));
  }, 60_000);

  const environment = (name: string) => ({
    RESTIC_PASSWORD: "geheim",
    RESTIC_REPOSITORY: join(top, name),
    XDG_CACHE_HOME: join(top, `${name}.cache`),
    TZ: "Europe/Berlin",
  });

  async function once(program: "yore" | "restic", { args }: Use, number: number) {
    const name = `${program} ${number}`;
    await cp(join(top, "base"), join(top, name), { recursive: true });
    const target = join(top, `target of ${name}`);
    await mkdir(target);
    const words: Readonly<Record<string, string>> = {
      FILES: files,
      TARGET: target,
      OLD: ids[0]!,
      NEW: ids[3]!,
    };
    const filled = args.map((arg) => arg.replace(/FILES|TARGET|OLD|NEW/g, (word) => words[word]!));
    const run = program === "yore" ? runYore : runRestic;
    const result = await run(filled, { env: environment(name) });
    return { name, target, result };
  }

  async function same(use: Use, number: number): Promise<void> {
    const [yore, restic] = await Promise.all([once("yore", use, number), once("restic", use, number)]);
    expect(yore.result.code, yore.result.stderr).toBe(restic.result.code);
    if (use.args.includes("--json") && use.output !== "nothing")
      expect(json(yore.result)).toEqual(json(restic.result));
    if (use.output === "lines")
      expect(yore.result.stdout.split("\n").sort()).toEqual(restic.result.stdout.split("\n").sort());
    if (use.output === "text") expect(yore.result.stdout).toBe(restic.result.stdout);
    await expect(await run("diff", ["-r", "--no-dereference", yore.target, restic.target])).toMatchObject({
      code: 0,
    });
    expect(await seen(yore.name)).toEqual(await seen(restic.name));
  }

  /** What others find there: the snapshots, with the tree of what was backed up, the locks and the config. */
  async function seen(name: string): Promise<unknown> {
    const env = environment(name);
    const snapshots = JSON.parse(await resticSays(env, ["snapshots", "--json", "--no-cache"])) as Known[];
    const described = await Promise.all(snapshots.map((snapshot) => describeSnapshot(snapshot, env)));
    const locks = await readdir(join(top, name, "locks"));
    const config = await readFile(join(top, name, "config"));
    return { snapshots: described.sort(), locks, config: config.toString("base64") };
  }

  /**
   * Without what is new and so is never the same: times of now, the IDs of files just written. Of the tree only what was
   * backed up counts: the times of the folders above it change while the tests run.
   */
  async function describeSnapshot(snapshot: Known, env: Record<string, string>): Promise<string> {
    if (ids.includes(snapshot.id)) return JSON.stringify(snapshot);
    const { id, short_id, time, program_version, summary, tree, ...rest } = snapshot;
    const place = String(rest["paths"]);
    const content = await runRestic(["cat", "tree", `${id}:${place}`, "--no-cache"], { env });
    return JSON.stringify({ ...rest, content: content.stdout });
  }

  it.each(READING.map((use, i) => [use.args.join(" "), use, i] as const))(
    "%s",
    (_, use, i) => same(use, i),
    60_000,
  );

  it.each(FAILING.map((use, i) => [use.args.join(" "), use, i + 100] as const))(
    "fail at %s",
    (_, use, i) => same(use, i),
    60_000,
  );

  it.each([...TALKING, ...WRITING].map((use, i) => [use.args.join(" "), use, i + 300] as const))(
    "%s says nothing but JSON with --json",
    async (_, use, i) => {
      const { result } = await once(
        "yore",
        { args: [...use.args.filter((arg) => arg !== "--json"), "--json"] },
        i,
      );
      expect(result.code, result.stderr).toBe(0);
      // Values may go over several lines, as restic's `cat` does.
      const isOneValue = use.args[0] === "cat";
      for (const text of isOneValue
        ? [result.stdout]
        : result.stdout.split("\n").filter((line) => line !== ""))
        expect(() => JSON.parse(text), text).not.toThrow();
    },
    60_000,
  );

  it.each(WRITING.map((use, i) => [use.args.join(" "), use, i + 200] as const))(
    "%s",
    (_, use, i) => same(use, i),
    60_000,
  );
});

type Known = Record<string, unknown> & { readonly id: string };

/** Lines or one value, groups in any order; how long something took is left out. */
function json({ stdout }: RunResult): unknown {
  const values = stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
  const told = values.filter((value) => (value as { message_type?: string }).message_type !== "status");
  return told.map((value) => (Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value));
}
