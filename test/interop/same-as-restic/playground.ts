/** One repository in several states, and both programs let loose on copies of it with the same arguments. */

import {
  appendFile,
  chmod,
  cp,
  lutimes,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { splitShellWords } from "../../../src/cli/shell-words.js";
import { openRepository } from "../../../src/mod.js";
import { makeKeyCheap } from "../../support/cheap-key.js";
import { resticSays } from "../../support/interop.js";
import { type RunResult, run, runRestic, runYore } from "../../support/run.js";
import { temporaryFolder } from "../../support/temporary.js";

/**
 * `base` has four snapshots; `forgotten` lost two of them and `orphaned` one, `headless` its index, `holey` the pack of the large file. `locked`
 * is somebody else's alone, `open` has no password, `old` is of version 1, `absent` is not there.
 */
export type State =
  | "base"
  | "forgotten"
  | "orphaned"
  | "headless"
  | "holey"
  | "locked"
  | "open"
  | "old"
  | "absent";

/**
 * A command line, in the words of a shell, with names for what is different in each run: `FILES` is the folder that was
 * backed up, `TARGET` a folder for output, `CACHE` one for a cache and `REPO` the repository; `LISTS` has files to be named by flags, `OTHER` is a
 * second repository, and `SECOND` a copy of it that may be changed. `OLD` and `NEW` are the IDs of two snapshots, `KEY`, `BLOB`, `TREE` and `PACK` of what is called so.
 */
export interface Use {
  readonly line: string;
  /** "base" when left out. */
  readonly state?: State;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  /** What `TARGET` has at first: the files of `OLD` changed a little, or an old cache; nothing when left out. */
  readonly target?: "files" | "cache";
  /**
   * How the standard output is compared: as it is, its lines in any order (restic's is random), or nothing. JSON when
   * `--json` is among the arguments. When left out: without IDs that are new, times and durations.
   */
  readonly output?: "text" | "lines" | "nothing";
  /** Archives in `TARGET` are compared by what is in them. */
  readonly unpack?: "tar" | "zip";
}

export type Program = "yore" | "restic";

export interface Outcome {
  readonly name: string;
  readonly repository: string;
  readonly target: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly result: RunResult;
}

/** `use("ls latest", { state: "old" })`, as a row of a table. */
export function use(line: string, options: Omit<Use, "line"> = {}): Use {
  return { line, ...options };
}

/** `rewrite --include` of restic also saves it for directories that it leaves out; nothing uses it. */
const EMPTY_TREE = "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8";

const PASSWORD = "geheim";
const OTHER_PASSWORD = "anders";

export class Playground {
  readonly #top: string;
  /** Apart from the copies, so that the times of the folders above what is backed up stay the same. */
  readonly #words: Record<string, string> = {};
  /** IDs of the snapshots, the oldest first. */
  readonly known: string[] = [];

  private constructor(top: string) {
    this.#top = top;
    // To see whether the holder of a lock still lives, restic sends it this signal; the lock here is of this process.
    process.on("SIGHUP", () => {});
  }

  static async create(): Promise<Playground> {
    const playground = new Playground(await temporaryFolder());
    const home = await temporaryFolder();
    await playground.#makeFiles(join(home, "files"));
    await playground.#makeLists(join(home, "lists"));
    await playground.#makeRepositories();
    return playground;
  }

  #environment(repository: string): Record<string, string | undefined> {
    return {
      RESTIC_PASSWORD: PASSWORD,
      RESTIC_REPOSITORY: repository,
      XDG_CACHE_HOME: `${repository}.cache`,
      TZ: "Europe/Berlin",
    };
  }

  async #makeFiles(files: string): Promise<void> {
    this.#words["FILES"] = files;
    await mkdir(join(files, "sub/deep"), { recursive: true });
    await mkdir(join(files, "cached"));
    await mkdir(join(files, "marked"));
    await writeFile(join(files, "a.txt"), "first");
    await writeFile(join(files, "sub/A big one"), Buffer.alloc(3_000_000, "0123456789abcdef"));
    await writeFile(join(files, "sub/deep/c.txt"), "deep");
    await writeFile(join(files, "cached/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55");
    await writeFile(join(files, "cached/old"), "made again when it is needed");
    await writeFile(join(files, "marked/.nobackup"), "do not");
    await writeFile(join(files, "marked/secret"), "secret");
    await symlink("a.txt", join(files, "link"));
    await run("setfattr", ["-n", "user.colour", "-v", "blue", join(files, "a.txt")]);
    await run("setfattr", ["-n", "user.shape", "-v", "round", join(files, "a.txt")]);
    await utimes(join(files, "a.txt"), 1_500_000_000, 1_500_000_000);
  }

  async #makeLists(lists: string): Promise<void> {
    const { FILES: files } = this.#words;
    this.#words["LISTS"] = lists;
    await mkdir(lists);
    const write = (name: string, text: string) => writeFile(join(lists, name), text);
    await write("password", `${PASSWORD}\n`);
    await write("other-password", `${OTHER_PASSWORD}\n`);
    await write("new-password", "neu\n");
    await write("patterns", "# these\n\n*.txt\n!new.txt\n");
    await write("sub", "sub\n");
    await write("any-case", "A.TXT\nLINK\n");
    await write("paths", `# these\n${files}/su[b]\n${files}/link\n`);
    await write("paths-verbatim", `${files}/a.txt\n${files}/sub/A big one\n`);
    await write("paths-raw", `${files}/a.txt\0${files}/sub/deep\0`);
    await write("no-certificate", "nothing\n");
  }

  async #makeRepositories(): Promise<void> {
    const { FILES: files } = this.#words as { FILES: string };
    const backup = async (at: Readonly<Record<string, string>>, host: string, time: string, tags = "") => {
      await resticSays(at, ["backup", "-q", "--host", host, "--time", time, "--tag", tags, files]);
    };
    const make = async (state: string, ...args: string[]) => {
      const env = this.#environment(join(this.#top, state)) as Record<string, string>;
      await resticSays(env, ["init", "--quiet", ...args]);
      await makeKeyCheap(join(this.#top, state), PASSWORD);
      return env;
    };
    const base = await make("base");
    const old = await make("old", "--repository-version", "1");
    await backup(old, "one", "2024-01-01 10:00:00", "daily");
    await backup(base, "one", "2024-01-01 10:00:00", "daily,blue");
    await backup(base, "one", "2024-01-02 10:00:00", "daily");
    const [{ tree }] = JSON.parse(await resticSays(base, ["snapshots", "--json", "latest"])) as [
      { tree: string },
    ];
    await writeFile(join(files, "sub/new.txt"), "new");
    await writeFile(join(files, "a.txt"), "second");
    await backup(base, "two", "2024-02-01 10:00:00");
    await backup(base, "one", "2024-03-01 10:00:00", "blue");
    const all = JSON.parse(await resticSays(base, ["snapshots", "--json"])) as { id: string }[];
    this.known.push(...all.map(({ id }) => id));
    Object.assign(this.#words, { OLD: all[0]!.id, NEW: all[3]!.id, TREE: tree });
    await this.#findWords(base);
    await this.#makeOthers(files);
    await this.#makeStates(base);
  }

  /** The IDs of what the large file is made of. */
  async #findWords(env: Readonly<Record<string, string>>): Promise<void> {
    const listing = JSON.parse(
      await resticSays(env, ["cat", "tree", `${this.known[3]}:${this.#words["FILES"]}/sub`]),
    ) as {
      nodes: { name: string; content?: string[] }[];
    };
    const blob = listing.nodes.find(({ name }) => name === "A big one")!.content![0]!;
    const packs = await resticSays(env, ["find", "--blob", "--show-pack-id", blob]);
    Object.assign(this.#words, {
      BLOB: blob,
      PACK: /belongs to pack ([0-9a-f]{64})/.exec(packs)![1]!,
      KEY: (await readdir(join(this.#top, "base/keys")))[0]!,
    });
  }

  async #makeOthers(files: string): Promise<void> {
    const other = join(this.#top, "other");
    this.#words["OTHER"] = other;
    const env = { RESTIC_PASSWORD: OTHER_PASSWORD, RESTIC_REPOSITORY: other };
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(other, OTHER_PASSWORD);
    this.#words["OTHERKEY"] = (await readdir(join(other, "keys")))[0]!;
    const backup = ["backup", "-q", join(files, "sub")];
    await resticSays(env, [...backup, "--time", "2023-05-05 05:05:05", "--host", "one", "--tag", "far"]);
    const later = ["--time", "2023-06-06 06:06:06", "--host", "two", "--exclude", "A big one"];
    await resticSays(env, [...backup, ...later]);
    await writeFile(join(this.#words["LISTS"]!, "other-place"), `${other}\n`);
    this.#words["OPEN"] = join(this.#top, "open");
    const open = { RESTIC_REPOSITORY: join(this.#top, "open"), RESTIC_PASSWORD: undefined };
    const without = async (...args: string[]) =>
      runRestic([...args, "-q", "--insecure-no-password"], { env: open });
    await without("init");
    await without("backup", "--host", "one", join(files, "sub"));
  }

  async #makeStates(env: Readonly<Record<string, string>>): Promise<void> {
    const copy = async (state: State) => {
      await cp(join(this.#top, "base"), join(this.#top, state), { recursive: true });
      return { ...env, RESTIC_REPOSITORY: join(this.#top, state) };
    };
    await resticSays(await copy("forgotten"), ["forget", "-q", ...this.known.slice(0, 2)]);
    await resticSays(await copy("orphaned"), ["forget", "-q", this.known[0]!]);
    const headless = await copy("headless");
    for (const name of await readdir(join(headless.RESTIC_REPOSITORY, "index")))
      await rm(join(headless.RESTIC_REPOSITORY, "index", name));
    const holey = await copy("holey");
    const pack = this.#words["PACK"]!;
    await rm(join(holey.RESTIC_REPOSITORY, "data", pack.slice(0, 2), pack));
    const session = await openRepository(join(this.#top, "base"), { password: PASSWORD, lock: "none" });
    const lock = await session.repository.lock({ exclusive: true });
    await copy("locked");
    await lock.release();
    await session.close();
  }

  /** Runs a program on a copy of its own. @param number tells the runs apart */
  async once(program: Program, wanted: Use, number: number): Promise<Outcome> {
    const name = `${program} ${number}`;
    const repository = join(this.#top, name);
    const state = wanted.state ?? "base";
    if (state !== "absent") await cp(join(this.#top, state), repository, { recursive: true });
    const target = join(this.#top, `target of ${name}`);
    await mkdir(target);
    await writeFile(`${target}.place`, `${repository}\n`);
    const words: Readonly<Record<string, string>> = {
      ...this.#words,
      TARGET: target,
      CACHE: `${target}.cache`,
      SECOND: `${target}.second`,
      REPOFILE: `${target}.place`,
      REPO: repository,
    };
    await cp(join(this.#top, "other"), `${target}.second`, { recursive: true });
    if (wanted.target) await this.#fill(target, wanted.target);
    const fill = (text: string) => text.replace(/\b[A-Z]{3,}\b/g, (word) => words[word] ?? word);
    const extra = Object.entries(wanted.env ?? {}).map(([key, value]) => [key, value && fill(value)]);
    const env = {
      ...this.#environment(repository),
      ...(state === "open" ? { RESTIC_PASSWORD: undefined } : {}),
      ...Object.fromEntries(extra),
    } as Record<string, string | undefined>;
    const start = program === "yore" ? runYore : runRestic;
    const args = splitShellWords(wanted.line).map(fill);
    const result = await start(args, {
      env,
      cwd: target,
      ...(wanted.input === undefined ? {} : { input: wanted.input }),
    });
    if (wanted.unpack) await unpack(target, wanted.unpack);
    return { name, repository, target, env, result };
  }

  async #fill(target: string, what: "files" | "cache"): Promise<void> {
    if (what === "cache") {
      const cache = join(target, "c".repeat(64));
      await mkdir(cache);
      const version = join(cache, "version");
      await writeFile(version, "1");
      // Both programs find the same, whenever they begin.
      for (const path of [version, cache]) await utimes(path, 1_700_000_000, 1_700_000_000);
      return;
    }
    const files = join(target, this.#words["FILES"]!);
    await cp(this.#words["FILES"]!, files, { recursive: true, preserveTimestamps: true });
    await writeFile(join(files, "more"), "of no snapshot");
    await appendFile(join(files, "sub/A big one"), "longer");
    await writeFile(join(files, "sub/deep/c.txt"), "DEEP");
    await utimes(join(files, "sub/deep/c.txt"), 4_000_000_000, 4_000_000_000);
    for (const name of ["more", "sub/A big one"])
      await utimes(join(files, name), 1_700_000_000, 1_700_000_000);
    // A copied link has the time of its copying.
    await lutimes(join(files, "link"), 4_000_000_000, 4_000_000_000);
  }

  /** Whether a run has left the repository as it was; locks and all. */
  async isUntouched({ repository }: Outcome, { state = "base" }: Use): Promise<boolean> {
    return (await filesOf(repository)) === (await filesOf(join(this.#top, state)));
  }

  /** Removes what a run has left. */
  async clear({ repository, target }: Outcome): Promise<void> {
    const left = [repository, `${repository}.cache`, target, `${target}.second`, `${target}.cache`];
    await Promise.all(left.map((path) => rm(path, { recursive: true, force: true })));
  }

  /** The snapshots of the run's own copy of the second repository, without their IDs. */
  async second({ target }: Outcome): Promise<unknown> {
    const env = { RESTIC_PASSWORD: OTHER_PASSWORD, RESTIC_REPOSITORY: `${target}.second` };
    const snapshots = JSON.parse(await resticSays(env, ["snapshots", "--json"])) as Known[];
    return snapshots.map(({ id: _, short_id: __, ...rest }) => rest);
  }

  /** What others find in a repository: snapshots with what is in them, blobs, keys, locks, the config. */
  async seen(outcome: Outcome, { line }: Use): Promise<unknown> {
    const { env, flags } = await this.#opening(outcome);
    const says = async (...args: string[]) =>
      (await runRestic([...args, ...flags, "--no-cache"], { env })).stdout;
    const parsed = async (...args: string[]) => JSON.parse((await says(...args)) || "null") as unknown;
    const locks = await readdir(join(outcome.repository, "locks"));
    if (locks.length > 0) return { locks: locks.length };
    const snapshots = ((await parsed("snapshots", "--json")) ?? []) as Known[];
    const described = await Promise.all(snapshots.map((snapshot) => this.#describe(snapshot, says)));
    const keys = ((await parsed("key", "list", "--json")) ?? []) as { userName: string; hostName: string }[];
    const { id: _, chunker_polynomial: polynomial, ...config } = (await parsed("cat", "config")) as Known;
    const isNew = line.startsWith("init") && !line.includes("--copy-chunker-params");
    // Folders above what is backed up, and folders that are made up, have times of now.
    const hasNewTrees = /^(backup|recover|init)\b/.test(line);
    const blobs = (await says("list", "blobs"))
      .split("\n")
      .filter((blob) => !hasNewTrees || /^data/.test(blob));
    const unique = new Set(blobs.filter((blob) => blob !== `tree ${EMPTY_TREE}`));
    return {
      snapshots: described.sort(),
      keys: keys.map(({ userName, hostName }) => `${userName}@${hostName}`).sort(),
      config: isNew ? config : { ...config, polynomial },
      blobs: [...unique].sort(),
      healthy: (await says("check")).includes("no errors were found"),
    };
  }

  /** With the password that opens it after the run. */
  async #opening({ env, repository }: Outcome) {
    const plain = {
      ...env,
      RESTIC_REPOSITORY: repository,
      RESTIC_REPOSITORY_FILE: undefined,
      RESTIC_PASSWORD_FILE: undefined,
      RESTIC_PASSWORD_COMMAND: undefined,
      RESTIC_KEY_HINT: undefined,
    };
    for (const password of [PASSWORD, "neu"]) {
      const tried = { ...plain, RESTIC_PASSWORD: password };
      const { code } = await runRestic(["cat", "config", "--no-lock", "--no-cache"], { env: tried });
      if (code === 0) return { env: tried, flags: [] };
    }
    return { env: { ...plain, RESTIC_PASSWORD: undefined }, flags: ["--insecure-no-password"] };
  }

  /** Without what is new in every run: times of now, IDs. Of the tree only what was backed up counts. */
  async #describe(snapshot: Known, says: (...args: string[]) => Promise<string>): Promise<string> {
    if (this.known.includes(snapshot.id)) return JSON.stringify(snapshot);
    const { id, short_id: _, time, program_version: __, summary: ___, tree: ____, ...rest } = snapshot;
    const paths = rest["paths"] as string[];
    const contents = await Promise.all(paths.map((path) => says("ls", "--json", `${id}:${path}`)));
    const nodes = contents.map((text) =>
      text
        .split("\n")
        .slice(1)
        .join("\n")
        .replace(/"atime":"[^"]*"/g, ""),
    );
    return JSON.stringify({ ...rest, time: String(time) < "2025" ? time : "now", contents: nodes });
  }
}

type Known = Record<string, unknown> & { readonly id: string };

/** Names and sizes; all but the config are named by their content. */
async function filesOf(folder: string): Promise<string> {
  const { stdout } = await run("find", [folder, "-type", "f", "-printf", "%P %s\n"]);
  const config = await readFile(join(folder, "config")).catch(() => "none");
  return stdout.split("\n").sort().join("\n") + config.toString("base64");
}

async function unpack(target: string, kind: "tar" | "zip"): Promise<void> {
  for (const name of await readdir(target)) {
    // Beside the folder, under a name of its own: both programs run at the same time.
    const archive = `${target}.${name}.archive`;
    await rename(join(target, name), archive);
    if (kind === "tar") await run("tar", ["-C", target, "-xf", archive]);
    else await run("unzip", ["-q", archive, "-d", target]);
    await rm(archive);
  }
  await chmod(target, 0o755);
}
