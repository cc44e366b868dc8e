import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe.skipIf(process.getuid?.() !== 0)("a repository on a disk that is mounted read-only", () => {
  const HINT = "With --no-lock, the repository can be read as it is\n";
  let disk: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    disk = await temporaryFolder();
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", disk]);
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(disk, "repository") };
    await runYore(["init", "-q"], { env });
    await makeKeyCheap(env["RESTIC_REPOSITORY"]!, "geheim");
    await runYore(["backup", "-q", "--stdin"], { env, input: "a" });
    execFileSync("mount", ["-o", "remount,ro", disk]);
  });

  afterAll(() => {
    execFileSync("umount", [disk]);
  });

  it.each([["snapshots"], ["ls", "latest"], ["check"], ["prune", "--dry-run"]])(
    "%s says how it can be read all the same",
    async (...args) => {
      const refused = await runYore(args, { env });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^Fatal: Cannot save ".*\/locks\/.*": the file system is read-only\n/);
      expect(refused.stderr.endsWith(HINT)).toBe(true);
      expect((await runYore([...args, "--no-lock"], { env })).code).toBe(0);
    },
  );

  it.each([["backup", "--stdin"], ["prune"], ["forget", "latest"]])(
    "%s says no such thing: it has to write",
    async (...args) => {
      const refused = await runYore(args, { env, input: "b" });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^Fatal: Cannot save ".*\/locks\/.*": the file system is read-only\n$/);
    },
  );
});
