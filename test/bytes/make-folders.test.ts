import { execFileSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeFolders } from "../../src/bytes/make-folders.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe("makeFolders", () => {
  it("makes what is missing, and leaves what is there", async () => {
    const folder = await temporaryFolder();
    const name = Buffer.from("a\xff", "latin1");
    const path = Buffer.concat([Buffer.from(`${folder}/x/`), name]);
    await makeFolders(path, 0o700);
    await makeFolders(path, 0o750);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  it("says that a name is too long", async () => {
    const folder = await temporaryFolder();
    await expect(makeFolders(join(folder, "x".repeat(300), "b"), 0o700)).rejects.toMatchObject({
      code: "ENAMETOOLONG",
    });
  });
});

describe.skipIf(process.getuid?.() !== 0)("folders on a disk that is mounted read-only", () => {
  let disk: string;
  const env = { RESTIC_PASSWORD: "geheim" };

  beforeAll(async () => {
    disk = await temporaryFolder();
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", disk]);
  });

  afterAll(() => {
    execFileSync("umount", [disk]);
  });

  it("cannot be made, and that is the reason told", async () => {
    for (const path of [join(disk, "a"), Buffer.from(join(disk, "a/b"))])
      await expect(makeFolders(path, 0o700)).rejects.toMatchObject({ code: "EROFS" });
  });

  it("init and restore say so", async () => {
    const init = await runYore(["init", "-r", join(disk, "a/repository")], { env });
    expect(init).toMatchObject({
      code: 1,
      stderr: `Fatal: Cannot create repository folder "${disk}/a/repository": the file system is read-only\n`,
    });
    const repository = join(await temporaryFolder(), "repository");
    await runYore(["init", "-q", "-r", repository], { env });
    await runYore(["backup", "-q", "-r", repository, "--stdin"], { env, input: "a" });
    const restore = await runYore(["restore", "-q", "-r", repository, "latest", "-t", join(disk, "a/b")], {
      env,
    });
    expect(restore.stderr).toBe(
      `Fatal: Cannot make the target folder "${disk}/a/b": EROFS: read-only file system, mkdir '${disk}/a'\n`,
    );
  });
});
