import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onCopies } from "../support/interop.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** What restic's help shows no longer and scripts still have: both programs do it, and say the same of it. */

const ENV = { RESTIC_PASSWORD: "geheim", TZ: "UTC" };

describe.skipIf(missingPeer("restic"))("what restic only still knows", () => {
  let folder: string;
  let repository: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    repository = join(folder, "repository");
    const env = { ...ENV, RESTIC_REPOSITORY: repository };
    expect((await runRestic(["init", "--quiet"], { env })).code).toBe(0);
    await makeKeyCheap(repository, "geheim");
    await mkdir(join(folder, "files"));
    await writeFile(join(folder, "files/a"), "some text");
    for (const host of ["one", "two"]) {
      const made = await runRestic(["backup", "--quiet", "--host", host, "files"], { env, cwd: folder });
      expect(made.code, made.stderr).toBe(0);
    }
  });

  it.each([
    ["snapshots", "--last"],
    ["backup", "--hostname", "one", "files"],
    ["forget", "--hostname", "one", "--keep-last", "1"],
    ["forget", "--hostname", "one", "--hostname", "two", "--keep-last", "1", "--json"],
    ["prune", "--repack-small"],
    ["rebuild-index"],
    ["rebuild-index", "--read-all-packs"],
    ["init", "--repo2", "/nowhere", "--password-command2", "echo geheim", "--copy-chunker-params"],
    ["init", "--repository-file2", "/nowhere", "--copy-chunker-params"],
    ["mount", "--snapshot-template", "2006", "/nowhere"],
  ])("%s %s", async (...args) => {
    const { yore, restic } = await onCopies(repository, args, { env: ENV, cwd: folder });
    const notes = (text: string) => text.split("\n").filter((line) => / deprecated,/.test(line));
    expect(yore.result.code, yore.result.stderr).toBe(restic.result.code);
    expect(notes(yore.result.stderr)).toEqual(notes(restic.result.stderr));
    expect(notes(restic.result.stderr)).not.toEqual([]);
  });

  it.each([
    ["--host", "one", "--hostname", "two"],
    ["--hostname", "two", "--host", "one"],
    ["--hostname", "one", "--hostname", "two"],
    ["--host", "one", "--host", "two", "--hostname", "two"],
    ["--hostname", "two", "--host", "one", "--host", "two"],
    ["--host", "one", "--hostname", "two", "--host", "one"],
  ])("forget %s %s %s %s: the hosts are those that restic takes", async (...hosts) => {
    const env = { ...ENV, RESTIC_REPOSITORY: repository };
    const args = ["forget", "--dry-run", "--no-lock", "--json", "--keep-last", "1", ...hosts];
    const [expected, actual] = await Promise.all([runRestic(args, { env }), runYore(args, { env })]);
    const hostsOf = (stdout: string) =>
      (JSON.parse(stdout) as { host: string }[]).map(({ host }) => host).sort();
    expect(hostsOf(actual.stdout)).toEqual(hostsOf(expected.stdout));
  });

  it("is not in any help", async () => {
    const help = await Promise.all(
      ["", "backup", "forget", "snapshots", "mount", "prune", "init"].map((command) =>
        runYore([...(command ? [command] : []), "--help"]),
      ),
    );
    const text = help.map(({ stdout }) => stdout).join("");
    expect(text).toContain("--latest");
    expect(text).not.toMatch(
      /--hostname|--last\b|--snapshot-template|--repack-small\b(?!er)|--repo2|rebuild-index/,
    );
  });
});
