import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { YoreError } from "../../src/errors.js";
import { CONFIG } from "../../src/repository/config-file.js";
import type { Repository } from "../../src/repository/repository.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";
import { createRepository, openRepository, wrapBackend } from "./support.js";

describe("a config that takes the place of another", () => {
  let copies: string;
  let repository: Repository;
  const before = process.env["TMPDIR"];

  beforeEach(async () => {
    copies = join(await temporaryFolder(), "tmp");
    await mkdir(copies);
    process.env["TMPDIR"] = copies;
    repository = await createRepository({ version: 1 });
  });

  afterEach(() => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  });

  const loadConfig = async () => Buffer.from(await repository.backend.load(CONFIG));

  /** As a server that overwrites nothing: the old one is removed before the new one is sent. */
  function opened(save: () => Promise<void>): Promise<Repository> {
    return openRepository(
      wrapBackend(repository.backend, {
        save: async () => {
          await repository.backend.remove(CONFIG).catch(() => {});
          await save();
        },
      }),
    );
  }

  it("leaves no copy of it", async () => {
    await repository.upgrade();
    expect((await openRepository(repository.backend)).config.version).toBe(2);
    expect(await readdir(copies)).toEqual([]);
  });

  it("leaves a copy that can be put back where the line is cut in between", async () => {
    const old = await loadConfig();
    const cut = await opened(async () => {
      throw new YoreError("backend", "Cannot save config: the line is cut");
    });
    const error = await cut.upgrade().then(
      () => undefined,
      (thrown: YoreError) => thrown,
    );
    expect(error).toMatchObject({ code: "backend", message: "Cannot save config: the line is cut" });
    const copy = /"(\/[^"]+)"/.exec(error!.hint!)![1]!;
    expect(await readFile(copy)).toEqual(old);
    expect((await stat(copy)).mode & 0o777).toBe(0o600);
  });

  it("is put back as it was stored, also when it came damaged before", async () => {
    const old = await loadConfig();
    let loads = 0;
    let saves = 0;
    const faulty = await openRepository(
      wrapBackend(repository.backend, {
        load: async (handle, range) => {
          const bytes = Buffer.from(await repository.backend.load(handle, range));
          if (handle.type === "config" && loads++ === 1) bytes[40]! ^= 1;
          return bytes;
        },
        save: async (handle, pieces) => {
          if (saves++ === 0) throw new YoreError("backend", "Cannot save config: cut");
          await repository.backend.remove(handle);
          await repository.backend.save(handle, pieces);
        },
      }),
    );
    await expect(faulty.upgrade()).rejects.toThrow("cut");
    expect(await loadConfig()).toEqual(old);
  });

  it("is kept on this machine before anything is changed", async () => {
    const old = await loadConfig();
    let kept: Buffer | undefined;
    const watched = await opened(async () => {
      const [folder] = await readdir(copies);
      kept = await readFile(join(copies, folder!, "config"));
      throw new YoreError("backend", "Cannot save config: cut");
    });
    await expect(watched.upgrade()).rejects.toThrow("cut");
    expect(kept).toEqual(old);
  });

  itWhere(process.getuid?.() === 0)(
    "is not changed where there is no space for a copy, of which nothing stays",
    async () => {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4k", "tmpfs", copies]);
      try {
        await writeFile(join(copies, "full"), Buffer.alloc(4096));
        await expect(repository.upgrade()).rejects.toThrow(/Cannot keep a copy of the config: ENOSPC/);
        expect(await readdir(copies)).toEqual(["full"]);
      } finally {
        execFileSync("umount", [copies]);
      }
      expect((await openRepository(repository.backend)).config.version).toBe(1);
    },
  );

  it("is not changed where no copy of it can be kept", async () => {
    await rm(copies, { recursive: true });
    await expect(repository.upgrade()).rejects.toThrow(/Cannot keep a copy of the config/);
    expect((await openRepository(repository.backend)).config.version).toBe(1);
  });
});
