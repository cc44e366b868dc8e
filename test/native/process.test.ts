import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadAddon } from "../../src/native/addon.js";
import { itWhere } from "../support/where.js";

const addon = loadAddon()!;

describe("widenPipe", () => {
  let folder: string;
  let fd: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "yore-pipe-"));
    execFileSync("mkfifo", [join(folder, "pipe")]);
    // Open for both, so that nobody waits for who opens the other end.
    fd = openSync(join(folder, "pipe"), constants.O_RDWR | constants.O_NONBLOCK);
  });

  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  /** Bytes that are written before the pipe takes no more. */
  function fill(): number {
    const page = Buffer.alloc(4096);
    for (let total = 0; ; ) {
      try {
        total += writeSync(fd, page);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("EAGAIN");
        return total;
      }
    }
  }

  itWhere(process.platform === "linux")("lets a pipe hold 1 MiB", () => {
    addon.widenPipe(fd);
    expect(fill()).toBe(1024 * 1024);
  });

  it("leaves alone what is no pipe", () => {
    const file = openSync(import.meta.filename, "r");
    expect(addon.widenPipe(file)).toBeUndefined();
    closeSync(file);
    expect(addon.widenPipe(-1)).toBeUndefined();
  });

  it("takes numbers only", () => {
    for (const wrong of [undefined, "1", 1.5, 2 ** 40])
      expect(() => addon.widenPipe(wrong as number)).toThrow(/"fd"/);
  });
});
