import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, realpath, symlink } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { missingPeer, runYore, spawnYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { backUp, eventually, output, PASSWORD, shell } from "./mounting.js";

const env = { RESTIC_PASSWORD: PASSWORD };

describe.skipIf((await ownDriver.problem()) !== undefined || missingPeer("restic"))("yore mount", () => {
  let folder: string;
  let repository: string;
  const started: ChildProcess[] = [];
  const mountpoints: string[] = [];

  const makeMountpoint = async () => {
    const path = join(await realpath(await temporaryFolder()), "mnt");
    await mkdir(path);
    mountpoints.push(path);
    return path;
  };

  /** Starts the command and waits until it says that it serves. */
  const serve = async (...args: string[]) => {
    const child = spawnYore(["mount", "-r", repository, ...args], { env });
    started.push(child);
    const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    const lines: string[] = [];
    const errors: string[] = [];
    createInterface({ input: child.stderr! }).on("line", (line) => errors.push(line));
    for await (const line of createInterface({ input: child.stdout! })) {
      lines.push(line);
      if (lines.length === 3) break;
    }
    if (lines.length < 3) throw new Error(`yore mount has ended: ${errors.join("; ")}`);
    return { child, ended, lines, errors };
  };

  const isMounted = async (path: string) =>
    (await readFile("/proc/self/mountinfo", "utf8")).includes(` ${path} `);

  beforeAll(async () => {
    folder = join(await temporaryFolder(), "data");
    await output('mkdir -p "$1/sub" && echo one > "$1/file" && echo two > "$1/sub/inner"', folder);
    await output('echo true > "$1/script" && chmod 744 "$1/script"', folder);
    repository = await backUp(folder);
  });

  afterEach(async () => {
    for (const child of started.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
    for (const path of mountpoints.splice(0))
      await shell('while umount -l "$1" 2> /dev/null; do :; done', path);
  });

  it("says three lines, serves, and ends with 0 on SIGINT", async () => {
    const path = await makeMountpoint();
    const { child, ended, lines } = await serve(path);
    expect(lines).toEqual([
      `Now serving the repository at ${path}`,
      "Use another terminal or tool to browse the contents of this folder.",
      "When finished, quit with Ctrl-c here or umount the mountpoint.",
    ]);
    expect(await output('cat "$1/snapshots/latest$2/file"', path, folder)).toBe("one");
    child.kill("SIGHUP");
    expect(await output('cat "$1/snapshots/latest$2/sub/inner"', path, folder)).toBe("two");
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    expect(await isMounted(path)).toBe(false);
  });

  it("shows one folder of one snapshot", async () => {
    const path = await makeMountpoint();
    const { ended } = await serve(`latest:${folder}`, path);
    expect(await output('ls "$1"; cat "$1/sub/inner"', path)).toBe("file\nscript\nsub\ntwo");
    expect((await runYore(["umount", path])).code).toBe(0);
    expect(await ended).toEqual([0, null]);
  });

  it.runIf(process.getuid?.() === 0)("tells root which files can be executed", async () => {
    const path = await makeMountpoint();
    const { ended } = await serve(`latest:${folder}`, path);
    const executable = 'cd "$1" && find . -executable | sort';
    expect(await output(executable, folder)).toBe(".\n./script\n./sub");
    expect(await output(executable, path)).toBe(".\n./script\n./sub");
    expect((await runYore(["umount", path])).code).toBe(0);
    expect(await ended).toEqual([0, null]);
  });

  it("keeps serving a shell that stands in the mount, and ends when it leaves", async () => {
    const path = await makeMountpoint();
    const { child, ended, errors } = await serve(path);
    const shellInside = spawn("bash", [
      "-c",
      'cd "$1/snapshots/latest$2" && echo in && read x; cat file; read x',
      "bash",
      path,
      folder,
    ]);
    started.push(shellInside);
    await once(shellInside.stdout, "data");
    child.kill("SIGINT");
    await eventually('! grep -q " $1 " /proc/self/mountinfo', path);
    shellInside.stdin.write("\n");
    expect(String((await once(shellInside.stdout, "data"))[0])).toBe("one\n");
    expect(child.exitCode).toBe(null);
    shellInside.stdin.end("\n");
    expect(await ended).toEqual([0, null]);
    expect(errors.join()).toMatch(/still in use|^$/);
    expect(await output('ls "$1"', path)).toBe("");
  });

  it("ends at once on a second SIGINT, and leaves no dead mount", async () => {
    const path = await makeMountpoint();
    const { child, ended } = await serve(path);
    const shellInside = spawn("bash", ["-c", 'cd "$1/snapshots" && echo in && read x', "bash", path]);
    started.push(shellInside);
    await once(shellInside.stdout, "data");
    child.kill("SIGINT");
    await eventually('! grep -q " $1 " /proc/self/mountinfo', path);
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(await output('ls "$1"', path)).toBe("");
    shellInside.stdin.end("\n");
  });

  it("mounts again where it was killed", async () => {
    const path = await makeMountpoint();
    const first = await serve(path);
    first.child.kill("SIGKILL");
    await first.ended;
    expect((await shell('ls "$1"', path)).stderr).toMatch(/not connected/);
    const second = await serve(path);
    expect(await output('cat "$1/snapshots/latest$2/file"', path, folder)).toBe("one");
    second.child.kill("SIGTERM");
    expect(await second.ended).toEqual([0, null]);
    expect(await output('ls "$1"', path)).toBe("");
  });

  it("--daemon returns when the mount is usable, and umount ends it", async () => {
    const path = await makeMountpoint();
    const { code, stdout, stderr } = await runYore(["mount", "-r", repository, "--daemon", path], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await output('cat "$1/snapshots/latest$2/file"', path, folder)).toBe("one");
    expect((await runYore(["umount", path])).code).toBe(0);
    const pid = /process (\d+)/.exec(stdout)![1]!;
    await eventually('! kill -0 "$1" 2> /dev/null', pid);
  });

  it("--daemon reports why it cannot", async () => {
    const path = await makeMountpoint();
    const wrong = await runYore(["mount", "-r", repository, "--daemon", path], {
      env: { RESTIC_PASSWORD: "wrong" },
    });
    expect(wrong.code).toBe(12);
    const missing = await runYore(["mount", "-r", repository, "--daemon", join(path, "missing")], { env });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/Cannot mount at .*missing/);
  });

  it("refuses mountpoints that cannot be, and none that can", async () => {
    const file = join(await temporaryFolder(), "file");
    const link = join(await temporaryFolder(), "link");
    await output('echo > "$1"', file);
    await symlink(join(repository, "data"), link);
    const refused = [
      `${file}-missing`,
      file,
      repository,
      join(repository, "data"),
      join(repository, ".."),
      link,
    ];
    for (const path of refused) {
      const { code, stderr } = await runYore(["mount", "-r", repository, path], { env });
      expect({ path, code }).toEqual({ path, code: 1 });
      expect(stderr).toMatch(/Cannot mount at/);
    }
    const sibling = `${repository}-mount`;
    await mkdir(sibling);
    mountpoints.push(sibling);
    const { child, ended } = await serve(sibling);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  it("stays below 300 MiB of memory, whatever is read", async () => {
    const data = join(await temporaryFolder(), "data");
    await output(
      'mkdir "$1" && head -c 250000000 /dev/urandom > "$1/large" && head -c 60000000 /dev/urandom | split -a 4 -b 15000 - "$1/small-"',
      data,
    );
    const path = await makeMountpoint();
    const { child, ended } = await serve("-r", await backUp(data), path);
    const sum = 'cd "$1" && cat * | sha256sum';
    expect(await output(sum, join(path, "snapshots/latest", data))).toBe(await output(sum, data));
    const peak = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))![1];
    expect(Number(peak)).toBeLessThan(300 * 1024);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    // 600 MB are hashed and 310 MB sealed: a minute on a machine that has much else to do.
  }, 240_000);

  it("umount of what is no mount is an error", async () => {
    const { code, stderr } = await runYore(["umount", await makeMountpoint()]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/nothing is mounted there/);
  });
});
