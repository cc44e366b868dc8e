import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { NUMBERS_OF_EXAMINED, NUMBERS_TO_EXAMINE } from "../../src/native/examine-functions.js";
import { temporaryFolder } from "../support/temporary.js";

/** What it finds is asked of it in test/restorer/file-examiner.test.ts. */
describe.skipIf(addonProblem() !== undefined)("examineFiles of the addon", () => {
  const { examineFiles } = loadAddon()!;
  const paths = (...names: string[]) => Buffer.from(names.map((name) => `${name}\0`).join(""));
  const lengths = (...all: number[]) => {
    const numbers = new Float64Array(all.length * NUMBERS_TO_EXAMINE).fill(NaN);
    for (const [i, length] of all.entries()) numbers[i * NUMBERS_TO_EXAMINE] = length;
    return numbers;
  };

  it("refuses what it cannot be asked", () => {
    const root = Buffer.from("/");
    expect(() => examineFiles(root, Buffer.from("no zero"), lengths(1))).toThrow(/zero byte/);
    expect(() => examineFiles(root, paths("a", "b"), lengths(1))).toThrow(/20 elements/);
    expect(() => examineFiles(root, paths("a"), lengths(-1))).toThrow(/1 MiB/);
    expect(() => examineFiles(root, paths("a"), lengths(NaN))).toThrow(/1 MiB/);
    expect(() => examineFiles(root, paths("a"), lengths(2 ** 20 + 1))).toThrow(/1 MiB/);
    expect(() => examineFiles(Buffer.alloc(0), paths("a"), lengths(1))).toThrow(/path/);
    expect(() => examineFiles(root, paths("a"), [1, 2, 3] as unknown as Float64Array)).toThrow(
      /Float64Array/,
    );
  });

  it("does not leave the root", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "root"));
    mkdirSync(join(folder, "outside"));
    writeFileSync(join(folder, "outside/file"), "x");
    symlinkSync("../outside", join(folder, "root/link"));
    const [found, hashes] = await examineFiles(
      Buffer.from(join(folder, "root")),
      paths("link/file", "../outside/file", "", "/etc/hostname"),
      lengths(1, 1, 1, 1),
    );
    for (let i = 0; i < 4; i++) expect(found[NUMBERS_OF_EXAMINED * i]!, `${i}`).toBeLessThanOrEqual(1);
    expect(hashes).toEqual(Buffer.alloc(4 * 32));
  });

  it("tells when there is no root", async () => {
    const [found] = await examineFiles(Buffer.from("/nowhere/at/all"), paths("a", "b"), lengths(1, 1));
    expect([found[0], found[NUMBERS_OF_EXAMINED]]).toEqual([-2, -2]);
  });
});
