import { chmod, cp, open, readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onBoth } from "../support/interop.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** What goes wrong: the same exit codes as restic's, one clear sentence, never a stack. */

let folder: string;
let repository: string;
const env = { RESTIC_PASSWORD: "geheim" };

function both(args: readonly string[], more: Record<string, string> = {}) {
  const options = { env: { ...env, ...more }, cwd: folder };
  return onBoth([...args, "--no-cache"], options);
}

function expectOneFailure(result: RunResult, code: number): void {
  expect(result.stderr).not.toMatch(/^ {4}at /m);
  expect(result.stderr).toMatch(/^Fatal: /);
  expect(result.stdout).toBe("");
  expect(result.code).toBe(code);
}

let copies = 0;

/** A copy of the repository in which one file of a folder is changed. */
async function damaged(place: string, change: (path: string) => Promise<void>): Promise<string> {
  const copy = join(folder, `damaged-${copies++}`);
  await cp(repository, copy, { recursive: true });
  const path = join(copy, place);
  const name = place === "config" ? "" : (await readdir(path))[0]!;
  await chmod(join(path, name), 0o600);
  await change(join(path, name));
  return copy;
}

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

describe.skipIf(missingPeer("restic"))("exit codes of yore and restic", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    repository = join(folder, "repository");
    await runRestic(["-r", repository, "init", "-q"], { env });
    await makeKeyCheap(repository, "geheim");
    await runRestic(["-r", repository, "backup", "-q", "--no-cache", import.meta.filename], { env });
    await runRestic(["-r", repository, "backup", "-q", "--no-cache", "--stdin"], { env, input: "x" });
  });

  it("are 10 when there is no repository", async () => {
    const { yore, restic } = await both(["-r", "nowhere", "snapshots"]);
    expectOneFailure(yore, 10);
    expect(restic.code).toBe(10);
    expect(yore.stderr).toContain("Is there a repository at the following location?\nnowhere\n");
  });

  it("are 12 when the password is wrong", async () => {
    const { yore, restic } = await both(["-r", repository, "snapshots"], { RESTIC_PASSWORD: "wrong" });
    expectOneFailure(yore, 12);
    expect(restic.code).toBe(12);
    expect(yore.stderr).toContain("wrong password or no key found");
  });

  it("are 11 when the repository is locked, and --no-lock reads all the same", async () => {
    const session = await openRepository(repository, { password: "geheim", lock: "exclusive" });
    try {
      const { yore, restic } = await both(["-r", repository, "snapshots"]);
      expectOneFailure(yore, 11);
      expect(restic.code).toBe(11);
      expect(yore.stderr).toContain(`PID ${process.pid}`);

      const json = await runYore(["-r", repository, "snapshots", "--json"], { env });
      expect(JSON.parse(json.stderr)).toMatchObject({ message_type: "exit_error", code: 11 });

      const free = await both(["-r", repository, "snapshots", "--no-lock"]);
      expect(free.yore).toMatchObject({ code: 0, stdout: free.restic.stdout });
    } finally {
      await session.close();
    }
    expect((await both(["-r", repository, "snapshots"])).yore.code).toBe(0);
  });

  it("leave no lock behind, whatever happened", async () => {
    await runYore(["-r", repository, "ls", "nope"], { env });
    await runYore(["-r", repository, "cat", "blob", "0".repeat(64)], { env });
    expect(await readdir(join(repository, "locks"))).toEqual([]);
  });

  it.each([
    ["config", 0],
    ["config", 50],
    ["keys", 20],
    ["keys", 0],
  ])("are 1 for %s cut to %d bytes", async (place, length) => {
    const copy = await damaged(place, (path) => truncate(path, length));
    const { yore, restic } = await both(["-r", copy, "snapshots"]);
    expectOneFailure(yore, 1);
    expect(restic.code === 1 || restic.code === 2).toBe(true); // 2: restic 0.19 crashes on some of these.
  });

  it("are 1 for a changed config", async () => {
    const copy = await damaged("config", (path) => flipByte(path, 60));
    const { yore, restic } = await both(["-r", copy, "snapshots"]);
    expectOneFailure(yore, 1);
    expect(restic.code).toBe(1);
  });

  it("show the other snapshots when one is damaged, and name it", async () => {
    let name = "";
    const copy = await damaged("snapshots", async (path) => {
      name = path.slice(-64);
      await flipByte(path, 40);
    });
    const { yore, restic } = await both(["-r", copy, "snapshots"]);
    expect(yore.stdout).toBe(restic.stdout);
    expect(yore.code).toBe(restic.code);
    expect(yore.stderr).toContain(`Ignoring "${name}": `);
    const one = await both(["-r", copy, "ls", name]);
    expect(one.yore.code).toBe(1);
    expect(one.restic.code).toBe(1);
  });

  it("hand out a damaged pack with a warning", async () => {
    const copy = join(folder, "damaged-pack");
    await cp(repository, copy, { recursive: true });
    const { stdout } = await runYore(["-r", copy, "list", "packs"], { env });
    const name = stdout.split("\n", 1)[0]!;
    const path = join(copy, "data", name.slice(0, 2), name);
    await chmod(path, 0o600);
    await flipByte(path, 5);
    const { yore, restic } = await both(["-r", copy, "cat", "pack", name]);
    expect(yore.code).toBe(restic.code);
    expect(yore.stdoutBytes.equals(await readFile(path))).toBe(true);
    expect(yore.stderr).toMatch(/^Warning: /);
  });

  it.each([
    [["snapshts"]],
    [["snapshots", "--foo"]],
    [["snapshots", "-q", "-v"]],
    [["snapshots", "--latest", "x"]],
    [["ls"]],
    [["ls", "nope"]],
    [["ls", "latest", "relative"]],
    [["ls", "latest:nope"]],
    [["cat"]],
    [["cat", "nope"]],
    [["cat", "snapshot", "nope"]],
    [["cat", "key", "abc"]],
    [["list"]],
    [["init"]],
    [["init", "extra"]],
    [["--pack-size", "500", "snapshots"]],
  ])("are 1 for %j", async (args) => {
    const { yore, restic } = await both(["-r", repository, ...args]);
    expectOneFailure(yore, 1);
    expect(restic.code).toBe(1);
  });
});
