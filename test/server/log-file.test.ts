import { mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LogFile } from "../../src/server/log-file.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";

describe("LogFile", () => {
  itWhere(process.platform === "linux")("loses lines while the disk is full, and no others", async () => {
    const path = join(await temporaryFolder(), "access.log");
    symlinkSync("/dev/full", path);
    const problems: string[] = [];
    const log = await LogFile.open(path, (line) => problems.push(line), 0);
    log.write("lost");
    await expect.poll(() => problems.length).toBe(1);
    expect(problems[0]).toContain("ENOSPC");
    rmSync(path);
    log.write("first");
    log.write("second");
    await expect.poll(() => readFileSync(path, "utf8")).toBe("first\nsecond\n");
    log.close();
    expect(problems.length).toBe(1);
  });

  it("is not opened where it cannot be written", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "log"));
    for (const path of ["log", "missing/log"])
      await expect(LogFile.open(join(folder, path), () => {})).rejects.toThrow(
        /^Cannot write log ".*log": E/,
      );
  });
});
