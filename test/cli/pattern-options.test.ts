import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolvePatternFlags } from "../../src/cli/pattern-options.js";
import { temporaryFolder } from "../support/temporary.js";

describe("resolvePatternFlags", () => {
  it("says of each pattern that is none where it stood", async () => {
    const file = join(await temporaryFolder(), "patterns");
    await writeFile(file, "fine\n[\n");
    const include = (flags: Parameters<typeof resolvePatternFlags>[1]) =>
      resolvePatternFlags("include", flags, {});
    await expect(include({ include: ["fine", "x["], includeFile: [file] })).rejects.toThrow(
      `Cannot use --include "x[" (a "[" has no "]"), --include-file "${file}": "[" (a "[" has no "]")`,
    );
    await expect(include({ iincludeFile: [file] })).rejects.toThrow(`--iinclude-file "${file}": "["`);
    await expect(include({ includeFile: [`${file}s`] })).rejects.toThrow(
      `"${file}s" of --include-file: ENOENT`,
    );
  });
});
