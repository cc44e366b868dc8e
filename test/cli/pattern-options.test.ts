import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolvePatternFlags } from "../../src/cli/pattern-options.js";
import { FakeIo } from "../support/fake-io.js";
import { temporaryFolder } from "../support/temporary.js";

describe("resolvePatternFlags", () => {
  it("says of each pattern that is none where it stood", async () => {
    const file = join(await temporaryFolder(), "patterns");
    await writeFile(file, "fine\n[\n");
    const include = (flags: Parameters<typeof resolvePatternFlags>[1]) =>
      resolvePatternFlags("include", flags, new FakeIo());
    await expect(include({ plain: ["fine", "x["], files: [file] })).rejects.toThrow(
      `Cannot use --include "x[" (a "[" has no "]"), --include-file "${file}": "[" (a "[" has no "]")`,
    );
    await expect(include({ filesIgnoringCase: [file] })).rejects.toThrow(`--iinclude-file "${file}": "["`);
    await expect(include({ files: [`${file}s`] })).rejects.toThrow(`"${file}s" of --include-file: ENOENT`);
  });
});
