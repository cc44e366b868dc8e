import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe.skipIf(addonProblem() !== undefined)("find", () => {
  it("leaves trees in the kernel's cache, for the next command", async () => {
    const folder = await temporaryFolder();
    const source = join(folder, "source");
    for (let i = 0; i < 300; i++) {
      mkdirSync(join(source, `${i}`), { recursive: true });
      writeFileSync(join(source, `${i}/empty ${i}`), "");
    }
    writeFileSync(join(source, "7/wanted"), "here");
    const env = { YORE_REPOSITORY: join(folder, "repository"), YORE_PASSWORD: "geheim" };
    for (const args of [["init"], ["backup", source]]) expect((await runYore(args, { env })).code).toBe(0);
    const packs = readdirSync(join(folder, "repository/data"), { recursive: true })
      .map((name) => join(folder, "repository/data", String(name)))
      .filter((path) => statSync(path).isFile() && statSync(path).size > 20_000);
    expect(packs).not.toEqual([]);
    execFileSync("sync");
    for (const path of packs) withFile(path, (fd, size) => loadAddon()!.forgetCached(fd, 0, size));
    // A file system in memory forgets nothing, and there is nothing to see.
    if (packs.some(isCached)) return;

    expect((await runYore(["find", "wanted"], { env })).stdout).toContain("7/wanted");
    expect(packs.map(isCached)).not.toContain(false);
  });
});

function isCached(path: string): boolean {
  return withFile(path, (fd, size) => loadAddon()!.isCached(fd, 0, size));
}

function withFile<T>(path: string, use: (fd: number, size: number) => T): T {
  const fd = openSync(path, "r");
  try {
    return use(fd, statSync(path).size);
  } finally {
    closeSync(fd);
  }
}
