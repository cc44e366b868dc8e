import { describe, expect, it } from "vitest";
import { runYore } from "../support/run.js";

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
