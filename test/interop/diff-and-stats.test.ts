import { appendFile, chmod, cp, link, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatId, type Id, parseId } from "../../src/bytes/id.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { node, openRepository, saveTree, snapshotOf } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onBoth, resticSays } from "../support/interop.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let env: Record<string, string>;
let files: string;
const ids: string[] = [];

/** The lines of a diff that name files, and how many there are of each kind. */
function changesOf(stdout: string): string[] {
  return stdout.split("\n").filter((line) => /^[-+MTU] |^(Files|Dirs|Others):/.test(line));
}

function both(args: readonly string[]) {
  return onBoth([...args, "--no-cache"], { env });
}

describe.skipIf(missingPeer("restic")).each([["1"], ["2"]])("in a repository of version %s", (version) => {
  beforeAll(async () => {
    const folder = await temporaryFolder();
    files = join(folder, "files");
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: join(folder, "repository") };
    ids.length = 0;
    await resticSays(env, ["init", "--quiet", "--repository-version", version]);
    await makeKeyCheap(join(folder, "repository"), "geheim");
    const backup = async () => {
      await resticSays(env, ["backup", "-q", files]);
      const snapshots = JSON.parse(await resticSays(env, ["snapshots", "--json", "--latest", "1"])) as {
        id: string;
      }[];
      ids.push(snapshots[0]!.id);
    };
    await mkdir(join(files, "a/deep/er"), { recursive: true });
    await mkdir(join(files, "gone/with/all"), { recursive: true });
    await mkdir(join(files, "same"));
    await writeFile(join(files, "a/deep/er/file"), "deep");
    await writeFile(join(files, "a/big"), Buffer.alloc(5_000_000, "0123456789"));
    await link(join(files, "a/big"), join(files, "same/hard link"));
    await writeFile(join(files, "same/content"), "deep");
    await writeFile(join(files, "gone/with/all/of it"), "was here");
    await writeFile(join(files, "turns"), "file");
    await writeFile(join(files, "mode"), "same content");
    await writeFile(join(files, "rots"), "whole");
    await utimes(join(files, "rots"), 1_000_000_000, 1_000_000_000);
    await backup();
    await rm(join(files, "gone"), { recursive: true });
    await rm(join(files, "turns"));
    await symlink("mode", join(files, "turns"));
    await chmod(join(files, "mode"), 0o600);
    await appendFile(join(files, "a/deep/er/file"), " and deeper");
    await mkdir(join(files, "new/er"), { recursive: true });
    await writeFile(Buffer.concat([Buffer.from(join(files, "new/n")), Buffer.of(0xff)]), "was here");
    await cp(join(files, "a/deep"), join(files, "new/er/copy"), { recursive: true });
    await backup();
    await writeFile(join(files, "empty"), "");
    await backup();
  }, 60_000);

  it.each([
    [0, 1, []],
    [1, 0, []],
    [0, 1, ["--metadata"]],
    [1, 2, ["--json"]],
    [0, 2, ["--metadata", "--json"]],
    [2, 2, []],
  ])("diff of snapshots %i and %i says the same with %j", async (from, to, flags) => {
    const { yore, restic } = await both(["diff", ids[from]!, ids[to]!, ...flags]);
    if (!yore.stdoutBytes.equals(restic.stdoutBytes)) expect(yore.stdout).toBe(restic.stdout);
    expect(yore.code).toBe(restic.code);
    expect(yore.stdout).toContain("lobs");
  });

  it("diff compares folders", async () => {
    const { yore, restic } = await both([
      "diff",
      `${ids[0]}:${files}/a`,
      `${ids[1]}:${files}/new/er`,
      "--json",
    ]);
    expect(yore.stdout).toBe(restic.stdout);
  });

  it("diff goes on behind directories that cannot be loaded, says which, and exits with 1", async () => {
    const copy = join(await temporaryFolder(), "damaged");
    await cp(env["RESTIC_REPOSITORY"]!, copy, { recursive: true });
    const repository = await openRepository(await LocalBackend.open(copy));
    const lost = parseId("f".repeat(64))!;
    const folder = (name: string, subtree: Id) =>
      node(name, { type: "dir", mode: GO_MODE_DIR + 0o755, subtree });
    const files = (name: string) => saveTree(repository, [node(name)]);
    const [x, before, after] = await Promise.all(["x", "before", "after"].map(files));
    const trees = [
      [folder("both", lost), folder("changed", lost), folder("other", before!), node("z")],
      [folder("both", lost), folder("changed", x!), folder("new", lost), folder("other", after!)],
    ].map((nodes) => saveTree(repository, nodes));
    const roots = await Promise.all(trees);
    await repository.flush();
    const [from, to] = await Promise.all(roots.map((tree) => saveSnapshot(repository, snapshotOf(tree))));
    await repository.close();
    const args = ["diff", formatId(from!), formatId(to!), "--no-cache"];
    const { yore, restic } = await onBoth(args, { env: { ...env, RESTIC_REPOSITORY: copy } });
    expect(yore.stdout.split("\n").filter((line) => /^[-+]/.test(line))).toEqual([
      "+    /new/",
      "+    /other/after",
      "-    /other/before",
      "-    /z",
    ]);
    expect(changesOf(yore.stdout)).toEqual(changesOf(restic.stdout));
    for (const name of ['"/changed"', '"/new"', "a directory that both have"])
      expect(yore.stderr).toContain(`Cannot compare ${name}: Cannot load tree blob ffffffff`);
    expect(yore.code).toBe(1);
  });

  it.each([[["diff"]], [["diff", "latest"]], [["diff", "a", "b", "c"]], [["stats", "--mode", "x"]]])(
    "%j fails as in restic",
    async (args) => {
      const { yore, restic } = await both(args);
      expect(yore.code).toBe(restic.code);
      expect(yore.code).toBe(1);
    },
  );

  it.each([["restore-size"], ["files-by-contents"], ["blobs-per-file"], ["raw-data"]])(
    "stats --mode %s counts the same",
    async (mode) => {
      // Over several snapshots it depends on their order, which is random in restic, at which path a content is counted.
      const several = mode === "blobs-per-file" ? [["latest"]] : [[], ["latest"], [ids[0]!, ids[1]!]];
      for (const more of [...several, ["--host", "nobody"], ["nope"]]) {
        const json = await both(["stats", "--mode", mode, "--json", ...more]);
        expect(json.yore.stdout).toBe(json.restic.stdout);
        expect(json.yore.code).toBe(json.restic.code);
      }
      const text = await both(["stats", "--mode", mode, "latest"]);
      const withoutProgress = text.restic.stdout.split("\n").filter((line) => !line.startsWith("["));
      expect(text.yore.stdout.split("\n")).toEqual(withoutProgress);
    },
  );
});
