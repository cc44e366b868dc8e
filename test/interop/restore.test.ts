/** What restic has backed up, yore restores; and with every flag both do the same. */

import { existsSync } from "node:fs";
import { link, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { difference, makeTree } from "../restorer/make-tree.js";
import { onBoth } from "../support/interop.js";
import { missingPeer, run, runRestic, runYore } from "../support/run.js";
import { temporaryFolder, unpackFixture } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };

async function restic(args: readonly string[], peer: "restic" | "restic-debian" = "restic") {
  const result = await runRestic(["--no-cache", ...args], { env, peer });
  expect(result.stderr, args.join(" ")).toBe("");
  return result;
}

describe.skipIf(missingPeer("restic"))("yore restore", () => {
  let folder: string;
  let tree: string;
  let repository: string;
  let changed: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    tree = join(folder, "tree");
    await makeTree(tree);
    changed = join(folder, "changed");
    await mkdir(changed);
    await changeTree(changed);
    repository = join(folder, "repository");
    await restic(["-r", repository, "init", "-q"]);
    await restic(["-r", repository, "backup", "-q", tree]);
  });

  describe.each([
    ["restic", 1],
    ["restic", 2],
    ["restic-debian", 1],
    ["restic-debian", 2],
  ] as const)("of a backup by %s in format %i", (peer, version) => {
    it.skipIf(missingPeer(peer))("brings back everything, to the last nanosecond", async () => {
      const location = await temporaryFolder();
      const target = await temporaryFolder();
      await restic(["-r", location, "init", "-q", "--repository-version", String(version)], peer);
      await restic(["-r", location, "backup", "-q", tree], peer);
      const result = await runYore(["-r", location, "restore", "latest", "--target", target], { env });
      expect(result.stderr).toBe("");
      expect(result.code).toBe(0);
      expect(await difference(tree, join(target, tree))).toBe("");
    });
  });

  const compared: string[] = [];
  afterEach(async () => {
    for (const base of compared.splice(0)) await rm(base, { recursive: true, force: true });
  });

  /** Restores with both programs into equal targets, and expects the same in every respect. */
  async function sameAsRestic(
    flags: readonly string[],
    before?: string,
    snapshot = `latest:${tree}`,
  ): Promise<{ target: string; summary: Record<string, unknown> }> {
    const base = await temporaryFolder();
    compared.push(base);
    const restoreWith = async (program: "restic" | "yore") => {
      const target = join(base, program);
      await mkdir(target);
      if (before) await run("cp", ["-a", `${before}/.`, target]);
      const args = ["-r", repository, "--no-cache", "restore", snapshot, "-t", target, "--json", ...flags];
      const result = await (program === "restic" ? runRestic : runYore)(args, { env });
      const lines = result.stdout.split("\n").filter((line) => line.startsWith("{"));
      const messages = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      const { seconds_elapsed: _, ...summary } = messages.find((one) => one["message_type"] === "summary")!;
      const items = messages
        .filter((one) => one["message_type"] === "verbose_status")
        // Of what is deleted, the path in the target is told.
        .map(({ action, item, size }) => `${action} ${String(item).replace(target, "TARGET")} ${size}`)
        .sort();
      return { code: result.code, stderr: result.stderr, summary, items };
    };
    const theirs = await restoreWith("restic");
    const ours = await restoreWith("yore");
    expect(ours).toEqual(theirs);
    expect(await difference(join(base, "restic"), join(base, "yore"))).toBe("");
    return { target: join(base, "yore"), summary: ours.summary };
  }

  /** The tree, changed here and there. */
  async function changeTree(target: string): Promise<void> {
    await run("cp", ["-a", `${tree}/.`, target]);
    await writeFile(join(target, "small"), "other text");
    await writeFile(join(target, "sub/file 1"), "longer than it was before, by much");
    const large = await readFile(join(target, "large"));
    large.fill(0, 2_000_000, 2_000_100);
    await writeFile(join(target, "large"), large);
    const same = await stat(join(tree, "sub/file 2"));
    // Same size and time, other content: only if-changed is fooled.
    await writeFile(join(target, "sub/file 2"), "CONTENT OF 2\n");
    await utimes(join(target, "sub/file 2"), same.atime, same.mtime);
    await utimes(join(target, "sub/file 3"), new Date(), new Date("2100-01-01"));
    await rm(join(target, "sub/file 4"));
    await rm(join(target, "link"));
    await writeFile(join(target, "link"), "no link any more");
    await writeFile(join(target, "extra"), "not in the snapshot");
    await mkdir(join(target, "sub/extra folder/below"), { recursive: true });
    await writeFile(join(target, "sub/extra folder/below/file"), "x");
    await symlink("/", join(target, "sub/extra link"));
    await run("setfattr", ["-n", "user.extra", "-v", "x", join(target, "sub/file 5")]);
    // A name that is not UTF-8.
    await run("bash", ["-c", "setfattr -n $'user.\\xff' -v x \"$0\"", join(target, "sub/file 5")]);
  }

  it("tells of each thing with -vv, as restic does", async () => {
    await sameAsRestic(["-vv"]);
  });

  it("restores a whole snapshot under its path", async () => {
    await sameAsRestic([], undefined, "latest");
  });

  it.each(["always", "if-changed", "if-newer", "never"])(
    "with --overwrite %s does as restic",
    async (mode) => {
      await sameAsRestic(["--overwrite", mode, "-vv"], changed);
    },
  );

  it.each(["always", "if-changed", "if-newer", "never"])(
    "with --overwrite %s and --delete does as restic",
    async (mode) => {
      const { target } = await sameAsRestic(["--overwrite", mode, "--delete"], changed);
      expect(existsSync(join(target, "extra"))).toBe(false);
      expect(existsSync(join(target, "sub/extra folder"))).toBe(false);
    },
  );

  it("with --dry-run changes nothing", async () => {
    const { target } = await sameAsRestic(["--dry-run", "--delete", "-vv"], changed);
    expect(await difference(changed, target)).toBe("");
    expect(await readFile(join(target, "small"), "utf8")).toBe("other text");
  });

  it("with --dry-run tells of all that a run into an empty folder, or one with links in place of folders, does", async () => {
    const { target } = await sameAsRestic(["--dry-run", "-vv"]);
    expect(await readdir(target)).toEqual([]);
    const linked = join(folder, "linked");
    await mkdir(linked);
    await symlink(join(tree, "sub"), join(linked, "sub"));
    const told = async (...flags: string[]) => {
      const args = ["-r", repository, "restore", `latest:${tree}`, "-t", linked, "-vv", ...flags];
      const { stdout } = await runYore(args, { env });
      return stdout
        .split("\n")
        .filter((line) => /^(restored|updated|unchanged) /.test(line))
        .sort();
    };
    const dry = await told("--dry-run");
    expect(dry.length).toBeGreaterThan(20);
    expect(await told()).toEqual(dry);
    expect((await readdir(join(tree, "sub"))).length).toBeGreaterThan(5);
  });

  it("with --dry-run into nowhere makes no folder", async () => {
    const target = join(await temporaryFolder(), "new");
    const result = await runYore(["-r", repository, "restore", "latest", "-t", target, "--dry-run"], { env });
    expect(result.code).toBe(0);
    expect(existsSync(target)).toBe(false);
  });

  it.each([
    ["--include", "deeper"],
    ["--include", "/sub/file 1*"],
    ["--iinclude", "LARGE", "--include", "linked*"],
    ["--include", "sub/**/leaf"],
    ["--include", "*", "--include", "!sub"],
    ["--exclude", "sub"],
    ["--exclude", "file*", "--iexclude", "LEAF"],
    ["--exclude", "*", "--exclude", "!small"],
    ["--exclude", "sub/*", "--exclude", "!sub/file 7"],
  ])("with %s %s %s %s restores what restic restores", async (...flags) => {
    await sameAsRestic([...flags, "-vv"]);
    await sameAsRestic([...flags, "--delete"], changed);
  });

  it("reads patterns from files", async () => {
    const patterns = join(await temporaryFolder(), "patterns");
    await writeFile(patterns, "# comment\n\n  sub/deeper  \nlarge\n");
    await sameAsRestic(["--include-file", patterns]);
    await sameAsRestic(["--exclude-file", patterns]);
    await sameAsRestic(["--iexclude-file", patterns]);
  });

  it("with --sparse takes no more room than restic", async () => {
    const { target } = await sameAsRestic(["--sparse"]);
    expect((await stat(join(target, "sparse"))).blocks * 512).toBeLessThan(100_000);
  });

  it("with --sparse over existing content leaves none of it", async () => {
    const target = await temporaryFolder();
    await writeFile(join(target, "sparse"), Buffer.alloc(7_000_000, 1));
    const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, "--sparse", "--verify"];
    expect((await runYore(args, { env })).stderr).toBe("");
    expect(await difference(tree, target)).toBe("");
  });

  it.each([
    ["--exclude-xattr", "user.n*"],
    ["--include-xattr", "user.n*"],
    ["--exclude-xattr", "user.*"],
    ["--verify", "--delete"],
  ])("with %s %s does as restic", async (...flags) => {
    await sameAsRestic(flags, changed);
  });

  it("with --ownership-by-name takes the numbers for names that are unknown here", async () => {
    const { target } = await sameAsRestic(["--ownership-by-name", "--include", "sub/file *"]);
    const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, "--ownership-by-name"];
    expect((await runYore(args, { env })).code).toBe(0);
    expect(await difference(tree, target)).toBe("");
  });

  it("never writes through a symbolic link that stands where a folder should be", async () => {
    const outside = await temporaryFolder();
    for (const flags of [[], ["--include", "sub/**/leaf"], ["--delete"], ["--overwrite", "never"]]) {
      const target = await temporaryFolder();
      await mkdir(join(target, "sub"));
      await symlink(outside, join(target, "sub/deeper"));
      const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, ...flags];
      expect((await runYore(args, { env })).stderr).toBe("");
      expect(await readdir(outside)).toEqual([]);
      expect(await readFile(join(target, "sub/deeper/deepest/leaf"), "utf8")).toBe("leaf");
    }
  });

  it("says how many files --verify has read", async () => {
    const target = await temporaryFolder();
    const args = ["-r", repository, "restore", "latest", "-t", target, "--verify"];
    const { stdout, code } = await runYore(args, { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/finished verifying 30\d files in/);
  });

  it("with -vv writes the bytes of names into a pipe as they are, as restic does", async () => {
    const lines = await Promise.all(
      ["restic", "yore"].map(async (program) => {
        const target = await temporaryFolder();
        const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, "-vv", "--dry-run"];
        const { stdoutBytes } = await (program === "restic" ? runRestic : runYore)(args, { env });
        const all = stdoutBytes.toString("latin1").split("\n");
        // The head line names the target, and the summary the time.
        return all.filter((line) => !/^(restoring|Summary)/.test(line)).sort();
      }),
    );
    expect(lines[1]).toEqual(lines[0]);
  });

  it("tells of a file with other names in the target that it makes anew as of an update, as restic does", async () => {
    const linked = join(folder, "with other names");
    await run("cp", ["-a", `${changed}/.`, linked]);
    await link(join(linked, "small"), join(linked, "other name of small"));
    await sameAsRestic(["-vv"], linked);
    // Not to be asked of a run: of a large file, restic makes only the blobs anew that differ, with zeros between them.
    await link(join(linked, "large"), join(linked, "sub/other name of large"));
    await sameAsRestic(["-vv", "--dry-run"], linked);
    const target = await temporaryFolder();
    await run("cp", ["-a", `${linked}/.`, target]);
    const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, "-vv"];
    expect((await runYore(args, { env })).stdout).toContain("updated   /large with");
    expect(await readFile(join(target, "large"))).toEqual(await readFile(join(tree, "large")));
  });

  it("finds nothing to do the second time", async () => {
    const target = await temporaryFolder();
    const args = ["-r", repository, "restore", `latest:${tree}`, "-t", target, "--json"];
    await runYore(args, { env });
    const { stdout } = await runYore(args, { env });
    expect(JSON.parse(stdout.trim().split("\n").at(-1)!)).not.toHaveProperty("bytes_restored");
    expect(await difference(tree, target)).toBe("");
  });

  it("refuses what makes no sense with restic's exit code", async () => {
    for (const args of [
      ["restore", "-t", "x"],
      ["restore", "a", "b", "-t", "x"],
      ["restore", "latest"],
      ["restore", "latest", "-t", "x", "-i", "a", "-e", "b"],
      ["restore", "latest", "-t", "x", "--dry-run", "--verify"],
      ["restore", "latest", "-t", "/", "--delete"],
      ["restore", "latest", "-t", "x", "--overwrite", "sometimes"],
      ["restore", "latest:nowhere", "-t", "x"],
      ["restore", "0000", "-t", "x"],
    ]) {
      const { yore, restic } = await onBoth(["-r", repository, "--no-cache", ...args], { env, cwd: folder });
      expect(yore.code, args.join(" ")).toBe(restic.code);
      expect(yore.stderr, args.join(" ")).not.toBe("");
    }
  });

  it.each(["small-repo", "repo-mixed", "repo-obsolete-index", "repo-index-missing", "repo-data-missing"])(
    "restores the snapshots of %s as restic does",
    async (name) => {
      const location = join(await unpackFixture(name, await temporaryFolder()), "repo");
      const listed = await runRestic(["-r", location, "--no-cache", "snapshots", "--json"], { env });
      for (const { id } of JSON.parse(listed.stdout) as { id: string }[]) {
        const targets = { restic: await temporaryFolder(), yore: await temporaryFolder() };
        const flags = ["-r", location, "restore", id, "-t"];
        const byRestic = await runRestic(["--no-cache", ...flags, targets.restic], { env });
        const byYore = await runYore([...flags, targets.yore], { env });
        expect(byYore.code, byYore.stderr).toBe(byRestic.code);
        if (byRestic.code === 0) expect(await difference(targets.restic, targets.yore)).toBe("");
        else expect(byYore.stderr).toMatch(/blob [0-9a-f]{8}/);
      }
    },
  );
});
