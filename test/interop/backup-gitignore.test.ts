import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { run, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let folder: string;
let env: Record<string, string>;

const FILES: Readonly<Record<string, string>> = {
  "work/.gitignore": "*.o\n!keep.o\n/build/\nlogs/\n",
  "work/a.o": "",
  "work/keep.o": "",
  "work/a.c": "",
  "work/build/out": "",
  "work/sub/build/stays": "",
  "work/logs": "a file, and no directory",
  "work/sub/.gitignore": "keep.o\n!a.o\n",
  "work/sub/keep.o": "",
  "work/sub/a.o": "",
  "work/sub/logs/x": "",
  "work/private": "named in .git/info/exclude",
  "work/nested/inner.o": "of a working tree of its own",
  "plain/.gitignore": "*\n",
  "plain/x.o": "no working tree: git ignores nothing here",
};

beforeAll(async () => {
  folder = await temporaryFolder();
  env = { RESTIC_PASSWORD: "x", RESTIC_REPOSITORY: join(folder, "repository") };
  for (const tree of ["work", "work/nested"]) {
    await mkdir(join(folder, tree), { recursive: true });
    expect((await run("git", ["init", "-q", join(folder, tree)])).code).toBe(0);
  }
  await writeFile(join(folder, "work/.git/info/exclude"), "private\n");
  for (const [name, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await writeFile(
    Buffer.concat([Buffer.from(join(folder, "work/odd")), Buffer.from("\xff.o", "latin1")]),
    "",
  );
  await symlink("build", join(folder, "work/link.o"));
  expect((await runYore(["init", "-q"], { env })).code).toBe(0);
});

/** Names below the folder, bytes as Latin-1. */
async function saved(args: readonly string[]): Promise<string[]> {
  const backup = await runYore(["backup", "-q", ...args], { env, cwd: folder });
  expect(backup).toMatchObject({ code: 0, stderr: "" });
  const { stdoutBytes } = await runYore(["ls", "-q", "latest"], { env });
  const lines = stdoutBytes.toString("latin1").split("\n");
  return lines
    .filter((line) => line.startsWith("/") && !line.includes("/.git/"))
    .map((line) => line.slice(1))
    .sort();
}

describe("backup --exclude-gitignore", () => {
  it("leaves out exactly what git ignores", async () => {
    const all = await saved(["work", "plain"]);
    const kept = await saved(["--exclude-gitignore", "work", "plain"]);
    const left = all.filter((path) => !kept.includes(path));
    const input = all.filter((path) => path.startsWith("work/") && !/\/\.git$|nested\//.test(path));
    const names = Buffer.from(input.map((path) => `${path.slice(5)}\0`).join(""), "latin1");
    const args = ["-C", join(folder, "work"), "check-ignore", "-z", "--stdin"];
    const ignored = (await run("git", ["-c", "core.excludesFile=/dev/null", ...args], { input: names }))
      .stdoutBytes;
    const expected = ignored
      .toString("latin1")
      .split("\0")
      .filter(Boolean)
      .map((path) => `work/${path}`);
    expect(left).toEqual(expected.sort());
    expect(left).toContain("work/odd\xff.o");
    expect(left).toContain("work/build/out");
    expect(kept).toEqual(
      expect.arrayContaining(["work/nested/inner.o", "plain/x.o", "work/.git", "work/logs"]),
    );
  });

  it("follows a link in the place of .git/info/exclude, and no other, as git does", async () => {
    const tree = join(folder, "linked");
    expect((await run("git", ["init", "-q", tree])).code).toBe(0);
    for (const name of ["one", "two", "shared", "other"]) await writeFile(join(tree, name), `${name}\n`);
    await writeFile(join(folder, "excludes"), "one\n");
    await rm(join(tree, ".git/info/exclude"), { force: true });
    await mkdir(join(tree, ".git/info"), { recursive: true });
    await symlink(join(folder, "excludes"), join(tree, ".git/info/exclude"));
    await symlink("two", join(tree, ".gitignore"));
    const list = ["-C", tree, "-c", "core.excludesFile=/dev/null", "ls-files", "-o", "--exclude-standard"];
    const { stdout } = await run("git", list);
    const kept = (await saved(["--exclude-gitignore", "linked"])).filter(
      (path) => !/^linked$|\.git$/.test(path),
    );
    expect(kept).toEqual(
      stdout
        .trimEnd()
        .split("\n")
        .map((name) => `linked/${name}`),
    );
    expect(kept).not.toContain("linked/one");
  });

  it("finds the excludes of submodules and linked working trees, as git does", async () => {
    const git = async (...args: string[]) => {
      const identity = [
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.org",
        "-c",
        "protocol.file.allow=always",
      ];
      expect(await run("git", [...identity, ...args], { cwd: folder })).toMatchObject({ code: 0 });
    };
    await git("init", "-q", "origin");
    await git("-C", "origin", "commit", "-q", "--allow-empty", "-m", "first");
    await git("clone", "-q", "origin", "trees/main");
    await git("-C", "trees/main", "submodule", "--quiet", "add", join(folder, "origin"), "part");
    await git("-C", "trees/main", "worktree", "add", "-q", "../linked");
    await git("init", "-q", "--separate-git-dir", "trees/elsewhere", "trees/apart");
    await writeFile(join(folder, "trees/main/.git/info/exclude"), "of-main\n");
    await writeFile(join(folder, "trees/main/.git/modules/part/info/exclude"), "of-part\n");
    await writeFile(join(folder, "trees/elsewhere/info/exclude"), "of-apart\n");
    const roots = ["trees/main", "trees/main/part", "trees/linked", "trees/apart"];
    const expected: string[] = [];
    for (const root of roots) {
      const names = ["of-main", "of-part", "of-apart"];
      for (const name of names) await writeFile(join(folder, root, name), "");
      const { stdout } = await run("git", ["-C", root, "check-ignore", ...names], { cwd: folder });
      expect(stdout).toMatch(/^of-\w+\n$/);
      expected.push(...names.filter((name) => `${name}\n` !== stdout).map((name) => `${root}/${name}`));
    }
    const kept = await saved(["--exclude-gitignore", "trees"]);
    expect(kept.filter((path) => /\/of-\w+$/.test(path))).toEqual(expected.sort());
  });

  it("saves of a directory that is ignored what is named in it, and nothing else", async () => {
    const targets = ["work", "work/deep/ignored/named", "work/deep/ignored/kept"];
    for (const name of ["named", "beside", "sub/x", "kept/x", "kept/named"]) {
      await mkdir(dirname(join(folder, "work/deep/ignored", name)), { recursive: true });
      await writeFile(join(folder, "work/deep/ignored", name), name);
    }
    await writeFile(join(folder, "work/deep/.gitignore"), "ignored\n");
    try {
      const kept = await saved(["--exclude-gitignore", ...targets, "work/deep/ignored/kept/named"]);
      const below = kept.flatMap((path) => path.split("work/deep/ignored/")[1] ?? []);
      expect(below).toEqual(["kept", "kept/named", "kept/x", "named"]);
      const explain = ["beside", "kept/x"].flatMap((name) => ["--explain", `work/deep/ignored/${name}`]);
      const { stdout } = await runYore(["backup", "--exclude-gitignore", ...explain, ...targets], {
        cwd: folder,
      });
      expect(stdout).toMatch(/^out .*beside: --exclude-gitignore: .*\nin .*kept\/x: /);
    } finally {
      await rm(join(folder, "work/deep"), { recursive: true });
    }
  });

  it("respects the files above a target, and saves what is named", async () => {
    const kept = await saved(["--exclude-gitignore", "work/sub", "work/a.o"]);
    expect(kept).toContain("work/a.o");
    expect(kept).toContain("work/sub/a.o");
    expect(kept).not.toContain("work/sub/logs");
    expect(kept).not.toContain("work/sub/keep.o");
  });
});

describe("backup --explain", () => {
  it.each([
    [["--exclude-gitignore"], "work/sub/keep.o", false, '"keep.o" in FOLDER/work/sub/.gitignore, line 1'],
    [["--exclude-gitignore"], "work/build/out", false, '"/build/" in FOLDER/work/.gitignore, line 3'],
    [["--exclude-gitignore"], "work/keep.o", true, 'it lies in "FOLDER/work"'],
    [["--exclude", "*.c", "--exclude", "!a.c"], "work/a.c", true, "no rule"],
    [["--exclude", "x", "--iexclude", "A.C"], "work/a.c", false, '--iexclude "A.C"'],
    [["--exclude-larger-than", "3"], "work/logs", false, "24 bytes"],
    [["--exclude-if-present", "keep.o"], "work/sub/a.o", false, '"keep.o" lies beside'],
    [["--exclude", "*"], "work", true, "named itself"],
    [[], "plain/x.o", false, "nothing that is to be saved"],
    [[], "work/link.o", true, "no rule"],
    [[], "work/link.o/out", false, "not what lies behind it"],
  ])("%j: %s", async (flags, path, included, rule) => {
    // No repository and no password: nothing is opened.
    const args = ["backup", ...flags, "--explain", path, "work", "--json"];
    const { stdout, stderr, code } = await runYore(args, { cwd: folder });
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    const said = JSON.parse(stdout) as { included: boolean; rule: string };
    expect(said.rule.replaceAll(folder, "FOLDER")).toContain(rule);
    expect(said.included).toBe(included);
  });

  it("agrees with a backup about what lies beside what is named in a directory that is left out", async () => {
    for (const name of ["named", "beside", "sub/x"]) {
      await mkdir(dirname(join(folder, "way/build", name)), { recursive: true });
      await writeFile(join(folder, "way/build", name), name);
    }
    const targets = ["way", "way/build/named"];
    const flags = ["--exclude", "build", "--exclude", "!build/beside"];
    const kept = await saved([...flags, ...targets]);
    const all = ["way/build", "way/build/beside", "way/build/named", "way/build/sub", "way/build/sub/x"];
    const explain = all.flatMap((path) => ["--explain", path]);
    const { stdout } = await runYore(["backup", ...flags, ...explain, ...targets], { cwd: folder });
    const included = all.filter((_, i) => stdout.split("\n")[i]!.startsWith("in "));
    expect(included).toEqual(kept.filter((path) => path !== "way"));
    expect(included).toEqual(["way/build", "way/build/beside", "way/build/named"]);
  });

  it("says in words where it was decided, and fails for what is not there", async () => {
    const args = ["backup", "--exclude-gitignore", "work", "--explain"];
    const { stdout } = await runYore([...args, "work/build/out"], { cwd: folder });
    expect(stdout).toMatch(/^out {2}\/.*\/work\/build\/out: .* \(decided at \/.*\/work\/build\)\n$/);
    expect((await runYore([...args, "work/gone"], { cwd: folder })).code).toBe(1);
  });
});
