import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { splitShellWords } from "../../src/cli/shell-words.js";
import { openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticSays } from "../support/interop.js";
import { missingPeer, peer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** None, one that others may hold as well (to read, to add), one that keeps all others out. */
type Lock = "none" | "shared" | "exclusive";

/** By the row of docs/commands.md: command lines, in the words of a shell, and the lock that they need. */
const USES: Readonly<Record<string, readonly (readonly [line: string, lock: Lock])[]>> = {
  backup: [
    ["backup --host h FILE", "shared"],
    ["backup --host h --dry-run FILE", "none"],
  ],
  cache: [["cache", "none"]],
  cat: [["cat config", "shared"]],
  check: [["check", "exclusive"]],
  copy: [["copy --from-repo OTHER --from-password-file PASSWORD", "shared"]],
  diff: [["diff latest latest", "shared"]],
  dump: [["dump latest /", "shared"]],
  find: [["find nothing", "shared"]],
  forget: [
    ["forget --keep-last 100", "exclusive"],
    ["forget --keep-last 100 --dry-run", "exclusive"],
    ["forget --keep-last 100 --dry-run --no-lock", "none"],
    ["forget --keep-last 100 --prune", "exclusive"],
  ],
  "key add": [["key add --new-password-file PASSWORD", "shared"]],
  "key list": [["key list", "shared"]],
  "key passwd": [["key passwd --new-password-file PASSWORD", "exclusive"]],
  "key remove": [["key remove 00000000", "exclusive"]],
  list: [
    ["list packs", "shared"],
    ["list locks", "none"],
  ],
  ls: [["ls latest", "shared"]],
  migrate: [["migrate upgrade_repo_v2", "exclusive"]],
  prune: [
    ["prune", "exclusive"],
    ["prune --dry-run", "exclusive"],
    ["prune --dry-run --no-lock", "none"],
  ],
  recover: [["recover", "exclusive"]],
  "repair index": [["repair index", "exclusive"]],
  "repair packs": [[`repair packs ${"0".repeat(64)}`, "exclusive"]],
  "repair snapshots": [
    ["repair snapshots", "exclusive"],
    ["repair snapshots --dry-run", "none"],
  ],
  restore: [["restore latest --target TARGET", "shared"]],
  rewrite: [
    ["rewrite --exclude nothing", "shared"],
    ["rewrite --exclude nothing --forget", "exclusive"],
    ["rewrite --exclude nothing --dry-run", "none"],
    ["rewrite --exclude nothing --forget --dry-run", "none"],
  ],
  snapshots: [["snapshots", "shared"]],
  stats: [["stats", "shared"]],
  tag: [["tag --add x", "exclusive"]],
  unlock: [["unlock", "none"]],
};

const ALL = Object.values(USES).flat();

let folder: string;
let env: Record<string, string>;

/** Which of the command lines end with the exit code for a repository that is locked. */
async function thoseThatWait(repository: string, run: typeof runYore): Promise<string[]> {
  const values: Readonly<Record<string, string>> = {
    FILE: join(folder, "password"),
    OTHER: join(folder, "other"),
    PASSWORD: join(folder, "password"),
    TARGET: join(folder, "target"),
  };
  const waiting: string[] = [];
  for (const [line] of ALL) {
    const args = splitShellWords(line).map((word) => values[word] ?? word);
    const { code } = await run([...args, "--no-cache"], { env: { ...env, RESTIC_REPOSITORY: repository } });
    if (code === 11) waiting.push(line);
  }
  return waiting;
}

const linesThatNeed = (...locks: Lock[]) =>
  ALL.filter(([, lock]) => locks.includes(lock)).map(([line]) => line);

/** Copies of the repository, one for each program, with nobody's locks in them. */
async function copies(): Promise<string[]> {
  const base = await temporaryFolder();
  const made = ["yore", "restic"].map((name) => join(base, name));
  for (const copy of made) {
    await cp(env["RESTIC_REPOSITORY"]!, copy, { recursive: true });
    await rm(join(copy, "locks"), { recursive: true });
    await mkdir(join(copy, "locks"));
  }
  return made;
}

describe.skipIf(missingPeer("restic"))("locks of commands", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    await writeFile(join(folder, "password"), "geheim");
    for (const name of ["repository", "other"]) {
      const at = { ...env, RESTIC_REPOSITORY: join(folder, name) };
      await resticSays(at, ["init", "--quiet"]);
      await makeKeyCheap(join(folder, name), "geheim");
      await resticSays(at, ["backup", "-q", join(folder, "password")]);
    }
    // restic asks the process of a lock whether it lives by this signal.
    process.on("SIGHUP", onQuestion);
  }, 60_000);

  afterAll(() => process.off("SIGHUP", onQuestion));
  const onQuestion = () => {};

  it("wait for a backup of restic where restic's own do, and say for whom", async () => {
    const [forYore, forRestic] = (await copies()) as [string, string];
    for (const [repository, run] of [
      [forYore, runYore],
      [forRestic, runRestic],
    ] as const) {
      // It holds its lock until its input ends.
      const holder = spawn(peer("restic")!, ["backup", "--quiet", "--no-cache", "--stdin"], {
        env: { ...process.env, ...env, RESTIC_REPOSITORY: repository },
        stdio: ["pipe", "ignore", "ignore"],
      });
      try {
        while ((await readdir(join(repository, "locks"))).length === 0) await new Promise(setImmediate);
        expect(await thoseThatWait(repository, run)).toEqual(linesThatNeed("exclusive"));
        const { stderr } = await run(["prune"], { env: { ...env, RESTIC_REPOSITORY: repository } });
        expect(stderr).toContain(`PID ${holder.pid}`);
      } finally {
        holder.stdin.end("x");
        await once(holder, "close");
      }
    }
  }, 300_000);

  it("all wait for one that has the repository for itself, as restic's do", async () => {
    const [forYore, forRestic] = (await copies()) as [string, string];
    for (const [repository, run] of [
      [forYore, runYore],
      [forRestic, runRestic],
    ] as const) {
      const session = await openRepository(repository, { password: "geheim", lock: "none" });
      const lock = await session.repository.lock({ exclusive: true });
      try {
        expect(await thoseThatWait(repository, run)).toEqual(linesThatNeed("shared", "exclusive"));
      } finally {
        await lock.release();
        await session.close();
      }
    }
  }, 300_000);
});

/** "R, A": to read and to add are the same to others. */
const LOCK_OF_LETTER: Readonly<Record<string, Lock>> = {
  R: "shared",
  A: "shared",
  X: "exclusive",
  "-": "none",
};

it("the documentation says of each command which lock it takes", async () => {
  const table = await readFile(new URL("../../docs/commands.md", import.meta.url), "utf8");
  const rows = [...table.matchAll(/^\| (`[^|]+?) \| ([^|]+?) \|/gm)];
  for (const [, names, column] of rows) {
    const letters = column!.match(/[RAX](?=$|[ ,])|-(?=$|[ ,])/g)!;
    const said = letters.map((letter) => LOCK_OF_LETTER[letter]!);
    const [first, ...more] = [...names!.matchAll(/`(.+?)`/g)].map(([, name]) => name!);
    // `key add`, `list`, ...: one letter each.
    const commands =
      more.length > 0 ? [first!, ...more.map((name) => `${first!.split(" ")[0]} ${name}`)] : [first!];
    for (const [i, command] of commands.entries()) {
      // Stays, and has a test of its own: yore's stops no prune.
      if (command === "mount") continue;
      const row = commands.length > 1 && said.length > 1 ? [said[i]!] : said;
      const needed = (USES[command] ?? []).map(([, lock]) => lock);
      // What is not tried is a matter of no repository, or of one that is not locked yet.
      expect({ command, locks: new Set(row) }).toEqual({
        command,
        locks: new Set(needed.length > 0 ? needed : ["none"]),
      });
    }
  }
  expect(rows.length).toBeGreaterThan(25);
});
