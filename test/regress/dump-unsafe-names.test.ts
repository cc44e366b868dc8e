import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, PASSWORD, snapshotOf } from "../repository/support.js";
import { file, folderOf, saveForgedTree, saveTree, symlinkTo } from "../restorer/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { run, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const BAD_NAMES = ["..", ".", "", "../../abs", "/etc/passwd", "a/b", "nul\0byte"];

describe("dump of a tree with names that lead elsewhere", () => {
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: PASSWORD, RESTIC_REPOSITORY: join(folder, "repository") };
    const backend = await LocalBackend.open(env["RESTIC_REPOSITORY"]!);
    const repository = await createRepository({}, backend);
    const below = await saveTree(repository, [await file(repository, "inner", Buffer.from("text"))]);
    const tree = await saveForgedTree(repository, [
      folderOf("..", below),
      await file(repository, "first", Buffer.from("first")),
      ...(await Promise.all(BAD_NAMES.map((name) => file(repository, name, Buffer.from("bad"))))),
      folderOf("a/folder", below),
      symlinkTo("../link", "/"),
      folderOf("folder", below),
    ]);
    await repository.flush();
    await saveSnapshot(repository, snapshotOf(tree));
    await repository.close();
    await makeKeyCheap(env["RESTIC_REPOSITORY"]!, PASSWORD);
  });

  const LISTS = {
    tar: ["tar", "-tPf"],
    zip: ["python3", "-c", "import sys, zipfile\nfor n in zipfile.ZipFile(sys.argv[1]).namelist(): print(n)"],
  } as const;

  it.each(["tar", "zip"] as const)("leaves them out of a %s, tells of each and fails", async (format) => {
    const archive = join(folder, `out.${format}`);
    const { code, stderr } = await runYore(["dump", "-a", format, "-t", archive, "latest", "/"], { env });
    expect(stderr.match(/but may lead elsewhere/g)).toHaveLength(BAD_NAMES.length + 3);
    expect(stderr).toContain('Cannot dump "../../abs"');
    expect(stderr).toContain("There were 10 errors");
    expect(code).toBe(1);
    const [program, ...args] = LISTS[format];
    const { stdout } = await run(program, [...args, archive]);
    expect(stdout.split("\n")).toEqual(["first", "folder/", "folder/inner", ""]);
  });

  it("does not take such a name for a directory to be dumped", async () => {
    const { code, stdout, stderr } = await runYore(["dump", "latest", "/.."], { env });
    expect(stderr).toContain("not found in snapshot");
    expect([code, stdout]).toEqual([1, ""]);
  });
});
