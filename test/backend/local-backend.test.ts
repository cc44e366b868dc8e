import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Handle, ROOM_FOR_BLOCKS } from "../../src/backend/backend.js";
import { LocalBackend } from "../../src/backend/local-backend.js";
import type { LocalReads } from "../../src/backend/local-reader.js";
import { type Addon, loadAddon } from "../../src/native/addon.js";
import { backendSuite, list, nameOf, saveRandom } from "../suites/backend-suite.js";
import { holdLease } from "../support/lease.js";
import { itWhere } from "../support/where.js";

const run = promisify(execFile);
/** A user who owns nothing, on every Debian. */
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

backendSuite("LocalBackend", async () => {
  const folder = await mkdtemp(join(tmpdir(), "yore-backend-"));
  return {
    open: () => LocalBackend.open(join(folder, "repository")),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});

const addon = loadAddon();
if (addon) {
  // Nothing that was saved is in the kernel's cache, where the file system can do without: it is read from the disk.
  backendSuite("LocalBackend past the page cache", async () => {
    const folder = await mkdtemp(join(tmpdir(), "yore-backend-"));
    return {
      open: () => LocalBackend.open(join(folder, "repository"), { reads: forgetful(addon) }),
      remove: () => rm(folder, { recursive: true, force: true }),
    };
  });

  it("load leaves nothing in the kernel's cache that is read once, however it is asked for", async () => {
    const folder = await mkdtemp(join(tmpdir(), "yore-backend-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const direct = await LocalBackend.open(folder, { reads: addon });
    await direct.create();
    const size = 3_000_000;
    const handle = await saveRandom(direct, "pack", size);
    const file = await open(join(folder, "data", handle.name.slice(0, 2), handle.name), "r");
    onTestFinished(() => file.close());
    const into = Buffer.alloc(size + ROOM_FOR_BLOCKS);
    const content = Buffer.from(await direct.load(handle));
    for (const range of [
      { into },
      { into, offset: 5 },
      { into, length: size },
      {},
      { offset: 1, length: size - 1 },
    ]) {
      addon.forgetCached(file.fd, 0, size);
      // A file system in memory forgets nothing.
      if (addon.isCached(file.fd, 0, size)) return;
      const loaded = await direct.load(handle, { ...range, once: true });
      expect(content.subarray(range.offset ?? 0).equals(loaded)).toBe(true);
      expect(addon.isCached(file.fd, 0, size)).toBe(false);
    }
  });
}

/** It has forgotten what is asked for. */
function forgetful(addon: Addon): LocalReads {
  return {
    readWhole: addon.readWhole,
    fileSizes: addon.fileSizes,
    async readRange(path, offset, length, ...rest) {
      const file = await open(Buffer.from(path), "r").catch(() => undefined);
      if (file) addon.forgetCached(file.fd, offset, length);
      await file?.close();
      return addon.readRange(path, offset, length, ...rest);
    },
  };
}

describe.each([...(addon ? [["in one hop", addon] as const] : []), ["by Node.js", undefined] as const])(
  "LocalBackend (%s)",
  (_, reads) => {
    let folder: string;
    let backend: LocalBackend;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "yore-backend-"));
      backend = await LocalBackend.open(folder, { reads });
      await backend.create();
    });

    afterEach(() => rm(folder, { recursive: true, force: true }));

    it("create makes restic's folders, for the owner alone", async () => {
      expect((await readdir(folder)).sort()).toEqual(["data", "index", "keys", "locks", "snapshots"]);
      const shards = (await readdir(join(folder, "data"))).sort();
      expect(shards.length).toBe(256);
      expect([shards[0], shards[255]]).toEqual(["00", "ff"]);
      expect((await stat(join(folder, "data", "a0"))).mode & 0o777).toBe(0o700);
    });

    it("save makes files read-only, for the owner alone", async () => {
      const handle = await saveRandom(backend, "pack", 10);
      const path = join(folder, "data", handle.name.slice(0, 2), handle.name);
      expect((await stat(path)).mode & 0o7777).toBe(0o400);
    });

    it("save makes files for the group when the config is readable by the group", async () => {
      await writeFile(join(folder, "config"), "config");
      await chmod(join(folder, "config"), 0o440);
      const group = await LocalBackend.open(folder, { reads });
      await rm(join(folder, "data"), { recursive: true });
      const umask = process.umask(0);
      try {
        const handle = await saveRandom(group, "pack", 10);
        const shard = join(folder, "data", handle.name.slice(0, 2));
        expect((await stat(shard)).mode & 0o777).toBe(0o770);
        expect((await stat(join(shard, handle.name))).mode & 0o7777).toBe(0o440);
      } finally {
        process.umask(umask);
      }
    });

    it("save makes the folders of a pack when they are missing", async () => {
      const handle: Handle = { type: "pack", name: nameOf(Buffer.from("x")) };
      await rmdir(join(folder, "data", handle.name.slice(0, 2)));
      await backend.save(handle, [Buffer.from("x")]);
      expect((await backend.stat(handle)).size).toBe(1);
    });

    it("save does not make the repository's own folder: its disk may be unmounted", async () => {
      await rename(folder, `${folder}-away`);
      try {
        await expect(saveRandom(backend, "pack", 1)).rejects.toMatchObject({ code: "backend" });
        await expect(stat(folder)).rejects.toMatchObject({ code: "ENOENT" });
      } finally {
        await rename(`${folder}-away`, folder);
      }
    });

    it("list leaves out names that are no IDs, folders, and files in the wrong place", async () => {
      const pack = await saveRandom(backend, "pack", 10);
      const snapshot = await saveRandom(backend, "snapshot", 10);
      const other = nameOf(Buffer.from("other"));
      const wrongShard = other.startsWith("00") ? "11" : "00";
      await writeFile(join(folder, "data", "README"), "a plain file");
      await writeFile(join(folder, "data", wrongShard, other), "x");
      await writeFile(join(folder, "data", pack.name.slice(0, 2), `${pack.name}-tmp-123`), "x");
      await writeFile(join(folder, "snapshots", `${snapshot.name.toUpperCase()}`), "x");
      await mkdir(join(folder, "snapshots", other));
      await symlink("nothing", join(folder, "snapshots", nameOf(Buffer.from("dangling"))));
      await run("mkfifo", [join(folder, "snapshots", nameOf(Buffer.from("pipe")))]);
      await mkdir(join(folder, "tmp"));
      expect(await list(backend, "pack")).toEqual([{ name: pack.name, size: 10 }]);
      expect(await list(backend, "snapshot")).toEqual([{ name: snapshot.name, size: 10 }]);
    });

    it("list of a folder that is missing is empty", async () => {
      await rm(join(folder, "locks"), { recursive: true });
      expect(await list(backend, "lock")).toEqual([]);
    });

    it("does not wait for a pipe that lies where a file should", async () => {
      const pack = await saveRandom(backend, "pack", 1000);
      const path = join(folder, "data", pack.name.slice(0, 2), pack.name);
      await rm(path);
      await run("mkfifo", [path]);
      for (const once of [false, true]) {
        await expect(backend.load(pack, { offset: 0, length: 100, once })).rejects.toThrow(pack.name);
        await expect(backend.load(pack, { offset: 10, length: 20_000_000, once })).rejects.toThrow(pack.name);
      }
    });

    itWhere(process.platform === "linux")("waits for who has a lease on a file", async () => {
      for (const size of [10, 1_000_000]) {
        const pack = await saveRandom(backend, "pack", size);
        const path = join(folder, "data", pack.name.slice(0, 2), pack.name);
        await chmod(path, 0o600);
        await holdLease(path);
        expect(nameOf(await backend.load(pack))).toBe(pack.name);
      }
    });

    it("leaves no file open and no temporary name behind", async () => {
      const before = (await readdir("/proc/self/fd")).length;
      const handle = await saveRandom(backend, "pack", 10);
      for (let i = 0; i < 20; i++) {
        await backend.load(handle);
        await backend.load(handle, { offset: 9, length: 10 }).catch(() => {});
        await saveRandom(backend, "pack", 10);
      }
      expect((await readdir("/proc/self/fd")).length).toBe(before);
      expect(await temporaryNames(folder)).toEqual([]);
    });

    it("save says clearly that permission is denied", async () => {
      await chmod(join(folder, "snapshots"), 0o500);
      // Root may write anywhere: for this one call it is nobody, to whom the way is open but the folder is not.
      await chmod(folder, 0o711);
      if (isRoot) process.seteuid!(NOBODY);
      try {
        await expect(saveRandom(backend, "snapshot", 1)).rejects.toThrow(/permission denied/);
      } finally {
        if (isRoot) process.seteuid!(0);
      }
    });

    it("save that is killed leaves no visible name", async () => {
      // A child that saves packs as fast as it can; it is killed while it says nothing.
      const module = join(import.meta.dirname, "../../dist/backend/local-backend.js");
      const script = `
      import { LocalBackend } from ${JSON.stringify(module)};
      import { createHash, randomBytes } from "node:crypto";
      const backend = await LocalBackend.open(${JSON.stringify(folder)});
      for (let i = 0; ; i++) {
        const bytes = randomBytes(3_000_000);
        const name = createHash("sha256").update(bytes).digest("hex");
        const saving = backend.save({ type: "pack", name }, [bytes]);
        process.stdout.write(i + "\\n");
        await saving;
      }`;
      for (let round = 0; round < 4; round++) {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        await new Promise<void>((resolve) => {
          let lines = 0;
          child.stdout.on("data", (text: Buffer) => {
            lines += text.toString().split("\n").length - 1;
            if (lines > 2 + round) resolve();
          });
          child.once("exit", () => resolve());
        });
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("close", resolve));
      }
      const packs = await list(backend, "pack");
      expect(packs.length).toBeGreaterThan(0);
      for (const { name, size } of packs) {
        expect(size).toBe(3_000_000);
        expect(nameOf(await backend.load({ type: "pack", name }))).toBe(name);
      }
    });
  },
);

describe.skipIf(!isRoot || process.platform !== "linux")("LocalBackend on a full disk", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "yore-full-"));
    await run("mount", ["-t", "tmpfs", "-o", "size=3m", "yore-test", folder]);
  });

  afterEach(async () => {
    await run("umount", [folder]);
    await rmdir(folder);
  });

  it("save throws no-space naming the file, leaves nothing, and works again when there is room", async () => {
    const backend = await LocalBackend.open(join(folder, "repository"));
    await backend.create();
    const bytes = randomBytes(4_000_000);
    const handle: Handle = { type: "pack", name: nameOf(bytes) };
    const failure = await backend.save(handle, [bytes]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "no-space" });
    expect((failure as Error).message).toContain(handle.name);
    expect(await list(backend, "pack")).toEqual([]);
    expect(await temporaryNames(join(folder, "repository"))).toEqual([]);
    await backend.save(handle, [bytes.subarray(0, 1_000_000)]);
    expect((await backend.stat(handle)).size).toBe(1_000_000);
  });
});

async function temporaryNames(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => name.includes("-tmp-"));
}
