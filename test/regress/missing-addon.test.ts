import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe("yore without its addon", () => {
  const env = (more: Record<string, string>) => ({
    YORE_PASSWORD: "geheim",
    YORE_ADDON: "/does/not/exist",
    ...more,
  });

  it("says once what is missing, and works", async () => {
    const repository = join(await temporaryFolder(), "repository");
    const made = await runYore(["--repo", repository, "init"], { env: env({}) });
    expect(made.code).toBe(0);
    const listed = await runYore(["--repo", repository, "snapshots", "--json"], { env: env({}) });
    expect([listed.code, listed.stdout.trim()]).toEqual([0, "[]"]);
    expect(listed.stderr.match(/Cannot load the native addon/g)).toHaveLength(1);
    expect(listed.stderr).toContain("leaves out extended attributes and ACLs");
    const [, builder] = /Build it with "(.*)"/.exec(listed.stderr)!;
    await access(builder!, constants.X_OK);
  });

  it("says nothing when the portable engine is what was asked for, and ends when the native one was", async () => {
    const repository = join(await temporaryFolder(), "repository");
    await runYore(["--repo", repository, "init"], { env: env({}) });
    const asked = await runYore(["--repo", repository, "snapshots"], {
      env: env({ YORE_ENGINE: "portable" }),
    });
    expect([asked.code, asked.stderr]).toEqual([0, ""]);
    const demanded = await runYore(["--repo", repository, "snapshots"], {
      env: env({ YORE_ENGINE: "native" }),
    });
    expect(demanded.code).toBe(1);
    expect(demanded.stderr).toContain("scripts/build-native");
  });
});
