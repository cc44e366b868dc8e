import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GateRule } from "../support/gate.js";
import { GatedRepository } from "../support/gated-repository.js";
import { runYore } from "../support/run.js";

/** All files in a folder; its list is handed out. */
function refuse(type: string): GateRule {
  return (method, path) =>
    method === "GET" && path.startsWith(`/${type}/`) && path.length > 50 ? { status: 403 } : undefined;
}

/** The advice to repair would take out of the snapshots what a server does not hand out. */
describe("a repository whose server refuses", () => {
  let repository: GatedRepository;
  const yore = (...args: string[]) =>
    runYore(["-r", repository.location, "--no-cache", ...args], {
      env: repository.env,
      cwd: repository.folder,
    });

  beforeAll(async () => {
    repository = await GatedRepository.create();
    writeFileSync(join(repository.folder, "file"), "content");
    expect((await yore("backup", "file")).code).toBe(0);
  });

  afterAll(() => repository.close());

  it.each(["index", "data", "snapshots"])(
    "is not called damaged by check when the files of %s are refused",
    async (type) => {
      repository.gate.rule = refuse(type);
      const { code, stderr } = await yore("check", "--read-data");
      expect(code).toBe(1);
      expect(stderr).toContain("answered 403");
      expect(stderr).toContain("may be whole");
      expect(stderr).not.toMatch(/must be repaired|damaged/);
    },
  );

  it.each([
    ["index", "prune"],
    ["data", "prune"],
    ["index", "repair snapshots"],
  ])("is not to be repaired when files of %s are refused to %s", async (type, words) => {
    repository.gate.rule = refuse(type);
    const { code, stderr } = await yore(...words.split(" "));
    expect(code).toBe(1);
    expect(stderr).toContain("answered 403");
    expect(stderr).not.toContain("yore repair");
  });

  it("is called damaged by check where it is, beside what is refused", async () => {
    repository.gate.rule = refuse("snapshots");
    await rm(join(repository.served, "data"), { recursive: true });
    const { code, stderr } = await yore("check");
    expect(code).toBe(1);
    expect(stderr).toContain("may be whole");
    expect(stderr).toContain("must be repaired");
  });
});
