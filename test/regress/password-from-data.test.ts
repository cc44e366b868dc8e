import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** Without any other source the password is the first line of stdin: it was cut off the data that was to be saved. */
describe("yore backup without a password source", () => {
  it.each([["--stdin"], ["--files-from", "-"], ["--files-from-verbatim", "-"], ["--files-from-raw", "-"]])(
    "refuses to read both password and data from stdin with %s %s",
    async (...flags) => {
      const result = await runYore(["--repo", "/does/not/matter", "backup", ...flags.filter(Boolean)], {
        input: "geheim\nfirst line of the data\n",
      });
      expect(result.code).toBe(1);
      expect(result.stderr).toContain("Cannot read both password and data from stdin");
    },
  );
});

/** A command that read what it inherited took the beginning of the data away, and the backup looked whole. */
describe("yore backup with a password command", () => {
  it("keeps standard input for the data", async () => {
    const repository = join(await temporaryFolder(), "repository");
    await createRepository(repository, { password: "geheim" });
    await makeKeyCheap(repository, "geheim");
    const open = ["-r", repository, "--password-command", "sh -c 'wc -c >&2; echo geheim'"];
    const input = "one line\n".repeat(10_000);
    expect(await runYore([...open, "backup", "--stdin", "--quiet"], { input })).toMatchObject({
      code: 0,
      stderr: "0\n",
    });
    expect((await runYore([...open, "dump", "latest", "stdin"])).stdout).toBe(input);
  });
});
