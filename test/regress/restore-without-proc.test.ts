import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../src/native/addon.js";
import { difference, makeTree } from "../restorer/make-tree.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { run, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const canHideProc = (await run("unshare", ["-m", "umount", "-l", "/proc"])).code === 0;
if (!canHideProc) console.warn("SKIPPED: /proc cannot be taken away here; rescue systems are not tested");

describe.runIf(canHideProc && loadAddon())("where /proc is not mounted", () => {
  let folder: string;
  let files: string;
  let env: Record<string, string>;

  const withoutProc = (args: readonly string[]) =>
    run("unshare", ["-m", "sh", "-c", `umount -l /proc; exec ${yoreCommand(args)}`], { env, cwd: folder });

  beforeAll(async () => {
    folder = await temporaryFolder();
    files = join(folder, "files");
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    await runYore(["init", "-q"], { env });
    await makeKeyCheap(env["RESTIC_REPOSITORY"]!, "geheim");
    await mkdir(files);
    await makeTree(files);
  });

  it("backup saves all, and restore brings back modes and attributes, new and over what is there", async () => {
    expect(await withoutProc(["backup", "-q", "files"])).toMatchObject({ code: 0, stderr: "" });
    expect((await runYore(["check", "--read-data", "-q"], { env })).code).toBe(0);
    for (const _ of ["new", "there"]) {
      const { code, stderr } = await withoutProc(["restore", "-q", "latest:files", "-t", "out"]);
      expect(code).toBe(0);
      // Of links and special files it cannot be told: said once, with the reason.
      expect(stderr.split("\n").filter((line) => /"\/(file|sub|large|small)/.test(line))).toEqual([]);
      expect(stderr).toMatch(/^Warning: .* attributes of ".*": it takes \/proc, which is not mounted$/m);
      expect(await difference(files, join(folder, "out"))).toBe("");
    }
  });
});
