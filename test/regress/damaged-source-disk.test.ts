import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { missingProgram, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const isPossible = process.getuid?.() === 0 && !missingProgram("mkfs.ext4") && !missingProgram("debugfs");

describe.skipIf(!isPossible)("backup of a damaged disk", () => {
  let disk: string;

  beforeEach(async () => {
    disk = await temporaryFolder();
    const image = join(await temporaryFolder(), "image");
    execFileSync("truncate", ["-s", "8M", image]);
    execFileSync("mkfs.ext4", ["-q", image]);
    execFileSync("mount", ["-o", "loop", image, disk]);
    await mkdir(join(disk, "files"));
    for (const name of ["damaged", "sound"]) await writeFile(join(disk, "files", name), name);
    execFileSync("umount", [disk]);
    execFileSync("debugfs", ["-w", "-R", "set_inode_field /files/damaged block[0] 0", image], {
      stdio: "ignore",
    });
    execFileSync("mount", ["-o", "loop", image, disk]);
  });

  afterEach(() => {
    execFileSync("umount", [disk]);
  });

  it("says of a damaged inode what the system says, and saves the rest", async () => {
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(await temporaryFolder(), "repository") };
    await runYore(["init", "-q"], { env });
    const { code, stderr } = await runYore(["backup", "-q", join(disk, "files")], { env });
    expect(code).toBe(3);
    const path = join(disk, "files/damaged");
    expect(stderr).toContain(`error: lstat ${path}: structure needs cleaning, the file system is damaged\n`);
    expect((await runYore(["ls", "-q", "latest"], { env })).stdout).toContain(join(disk, "files/sound"));
  });
});
