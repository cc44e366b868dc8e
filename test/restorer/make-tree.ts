/** A small folder with one of everything that a restore has to bring back. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, link, lutimes, mkdir, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Needs root for devices and owners; leaves them out otherwise. */
export async function makeTree(folder: string): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  await mkdir(join(folder, "sub/deeper/deepest"), { recursive: true });
  await mkdir(join(folder, "empty folder"));
  await writeFile(join(folder, "empty"), "");
  await writeFile(join(folder, "small"), "some text\n");
  await writeFile(join(folder, "large"), randomBytes(2_500_000));
  await writeFile(join(folder, "sparse"), randomBytes(10_000));
  await truncate(join(folder, "sparse"), 3_000_000);
  for (let i = 0; i < 300; i++) await writeFile(join(folder, "sub", `file ${i}`), `content of ${i}\n`);
  await writeFile(join(folder, "sub/deeper/deepest/leaf"), "leaf");
  await writeFile(join(folder, "linked 1"), "one file with three names");
  await link(join(folder, "linked 1"), join(folder, "linked 2"));
  await link(join(folder, "linked 1"), join(folder, "sub/deeper/linked 3"));
  await symlink("small", join(folder, "link"));
  await symlink("/does/not/exist", join(folder, "sub/dangling"));
  await symlink("deeper", join(folder, "sub/link to folder"));
  await writeFile(Buffer.concat([Buffer.from(join(folder, "bad ")), Buffer.of(0xff, 0xfe)]), "no UTF-8");
  await writeFile(join(folder, 'new\nline "quoted"'), "strange name");
  await run("mkfifo", [join(folder, "fifo")]);
  if (isRoot) {
    await run("mknod", [join(folder, "zero"), "c", "1", "5"]);
    await run("mknod", [join(folder, "block"), "b", "7", "300"]);
    await run("chown", ["1234:5678", join(folder, "small"), join(folder, "sub/deeper")]);
    await run("chown", ["-h", "4321:8765", join(folder, "link")]);
  }
  await run("setfattr", ["-n", "user.note", "-v", "kept", join(folder, "small")]);
  await run("setfattr", ["-n", "user.empty", join(folder, "sub")]);
  await chmod(join(folder, "large"), 0o4750);
  await chmod(join(folder, "empty folder"), 0o1777);
  await chmod(join(folder, "sub/deeper/deepest/leaf"), 0o400);
  await utimes(join(folder, "empty"), -86_400, -86_400);
  await lutimes(join(folder, "link"), 1_234_567_890, 1_234_567_890);
  await run("touch", ["-d", "2150-02-03 04:05:06.123456789", join(folder, "linked 1")]);
  await run("touch", ["-d", "1960-02-03 04:05:06.987654321", join(folder, "sub/deeper")]);
  await chmod(join(folder, "sub/deeper"), 0o555);
}

/** What differs between two folders, as rsync itemises it; the folders themselves aside. Empty when they are equal. */
export async function difference(a: string, b: string): Promise<string> {
  const flags = ["-aHAXn", "--checksum", "--delete", "--itemize-changes"];
  const { stdout } = await run("rsync", [...flags, `${a}/`, `${b}/`], { maxBuffer: 1 << 26 });
  return stdout
    .split("\n")
    .filter((line) => line !== "" && !/^\.d\S* \.\/$/.test(line))
    .join("\n");
}
