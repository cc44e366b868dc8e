import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { run, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };
/** Becomes an ordinary user; says so aloud where it cannot. */
const AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all";
const canBeNobody =
  process.getuid?.() === 0 &&
  (await run("sh", ["-c", `${AS_NOBODY} ${yoreCommand(["version"])}`])).code === 0;
if (!canBeNobody)
  console.warn("SKIPPED: this checkout cannot be run as nobody; foreign mounts are not tested");

describe.skipIf((await ownDriver.problem()) !== undefined)("yore mount", () => {
  let repository: string;
  let path: string;

  beforeAll(async () => {
    repository = join(await temporaryFolder(), "repository");
    expect((await runYore(["init", "-r", repository], { env })).code).toBe(0);
    await makeKeyCheap(repository, "geheim");
    path = join(await realpath(await temporaryFolder()), "mnt");
    await mkdir(path);
  });

  afterEach(async () => {
    await run("sh", ["-c", 'while umount -l "$0" 2> /dev/null; do :; done', path]);
  });

  const mount = (...args: string[]) =>
    runYore(["mount", "-r", repository, "--daemon", ...args, path], { env });

  it("--daemon --json says where it serves and in which process", async () => {
    const { code, stdout } = await mount("--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      message_type: "mounted",
      mountpoint: path,
      pid: expect.any(Number),
    });
  });

  it("names the flag whose file it cannot write", async () => {
    const { code, stderr } = await mount("--log-file", "/no/such/folder/log");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Fatal: Cannot write the file "\/no\/such\/folder\/log" of --log-file: ENOENT/);
  });

  it.runIf(canBeNobody)("of another user is not said to be unmounted", async () => {
    expect((await mount()).code).toBe(0);
    await run("chmod", ["755", join(path, ".."), join(path, "../..")]);
    const umount = await run("sh", ["-c", `${AS_NOBODY} ${yoreCommand(["umount", path])}`]);
    expect(umount.code).toBe(1);
    expect(umount.stderr).toMatch(/Cannot unmount ".*": another user has mounted it/);
    expect((await run("grep", [` ${path} `, "/proc/self/mountinfo"])).code).toBe(0);
  });

  it.each([
    ["--uid=4294967296"],
    ["--gid=4294967295"],
    ["--path-template="],
    ["--path-template=../.."],
    ["--time-template=.."],
  ])("%s is refused: it would show somebody else's files, or none", async (flag) => {
    const { code, stderr } = await mount(flag);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Fatal: (invalid argument|Cannot use)/),
    });
  });
});
