import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";

import { canRefuseCalls, runYoreRefusing } from "../support/refuse-calls.js";
import { run, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const { EDQUOT, ESTALE } = constants.errno;

describe.runIf(await canRefuseCalls())("where Node.js has no name for what the system says", () => {
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    await runYore(["init", "-q"], { env });
    await makeKeyCheap(env["RESTIC_REPOSITORY"]!, "geheim");
    await mkdir(join(folder, "files"));
    await writeFile(join(folder, "files/large"), randomBytes(5_000_000));
    for (let i = 0; i < 20; i++) await writeFile(join(folder, `files/${i}`), randomBytes(9_000));
    await runYore(["backup", "-q", "files"], { env, cwd: folder });
  });

  it("restore stops at the first file for which the quota has no room, and goes on later", async () => {
    const args = ["restore", "-q", "latest:files", "-t", "out"];
    const refused = await runYoreRefusing(EDQUOT, ["pwrite64"], args, { env, cwd: folder });
    expect(refused).toMatchObject({
      code: 1,
      stderr: `Fatal: Cannot restore to "${join(folder, "out")}": the disk quota is used up
Run the same restore again when there is room: what is complete is kept and not written again.
`,
    });
    expect((await runYore(args, { env, cwd: folder })).code).toBe(0);
    expect(await run("diff", ["-r", join(folder, "files"), join(folder, "out")])).toMatchObject({ code: 0 });
  });

  it("backup says that the repository's quota is used up, or its file handle stale", async () => {
    await writeFile(join(folder, "more"), randomBytes(100_000));
    const args = ["backup", "-q", "more"];
    const full = await runYoreRefusing(EDQUOT, ["fsync"], args, { env, cwd: folder });
    expect(full).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Fatal: Cannot save .*: disk quota exceeded\n$/),
    });
    const stale = await runYoreRefusing(ESTALE, ["fsync"], args, { env, cwd: folder });
    expect(stale).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Fatal: Cannot save .*: ESTALE: stale file handle, fsync\n$/),
    });
  });
});
