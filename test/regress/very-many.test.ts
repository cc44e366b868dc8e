import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { normaliseArguments } from "../../src/cli/arguments.js";
import { renderTable } from "../../src/cli/table.js";
import { collectTargets } from "../../src/commands/backup-targets.js";
import { expandGlob } from "../../src/commands/glob.js";
import type { Snapshot } from "../../src/format/snapshot.js";
import { ANY_SNAPSHOT, matchesFilter } from "../../src/repository/snapshots.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** More than a call takes arguments: Node.js then says "Maximum call stack size exceeded". */
const MANY = 150_000;

describe("very many", () => {
  it("paths of a snapshot are looked for among as many", () => {
    const paths = Array.from({ length: MANY }, (_, i) => `/nowhere/${i}`);
    const snapshot = { paths } as unknown as Snapshot;
    expect(matchesFilter(snapshot, { ...ANY_SNAPSHOT, paths: paths.toReversed() })).toBe(true);
    expect(matchesFilter(snapshot, { ...ANY_SNAPSHOT, paths: [...paths, "/elsewhere"] })).toBe(false);
  });

  it("lines of a table are as wide as the widest of them", () => {
    const rows = Array.from({ length: MANY }, (_, i) => [`${i}\n${i}${i}`]);
    const lines = renderTable([{ header: "ID" }], rows);
    expect(lines).toHaveLength(2 * MANY + 3);
    expect(lines[1]).toBe("-".repeat(12));
  });

  it("names of a list, in text or behind zeros, are all looked at", async () => {
    const folder = await temporaryFolder();
    const names = Array.from({ length: MANY }, (_, i) => (i === MANY - 1 ? folder : `/nowhere/${i}`));
    writeFileSync(join(folder, "lines"), names.join("\n"));
    writeFileSync(join(folder, "zeros"), names.map((name) => `${name}\0`).join(""));
    const none = { paths: [], filesFrom: [], filesFromVerbatim: [], filesFromRaw: [] };
    for (const sources of [
      { ...none, filesFromVerbatim: [join(folder, "lines")] },
      { ...none, filesFromRaw: [join(folder, "zeros")] },
    ]) {
      const warnings: string[] = [];
      const { targets } = await collectTargets(
        sources,
        () => Promise.reject(new Error("reads no input")),
        (line) => warnings.push(line),
      );
      expect(targets).toHaveLength(1);
      expect(warnings).toHaveLength(MANY - 1);
    }
  });

  it("files that a pattern matches are all found", async () => {
    const folder = join(await temporaryFolder(), "files");
    mkdirSync(folder);
    for (let i = 0; i < MANY; i++) writeFileSync(join(folder, String(i)), "");
    expect(await expandGlob(Buffer.from(`${folder}/*`))).toHaveLength(MANY);
  }, 120_000);

  it("names on a command line are all taken", async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, "x"), "x");
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    await runYore(["init"], { env });
    // Short ones: with their pointers, Linux takes 2 MiB.
    const names = Array.from({ length: MANY }, () => "x");
    for (const before of [["backup"], ["backup", "--no-scan", "--"], ["backup", "--tag", "a", "--no-scan"]]) {
      const { code, stderr } = await runYore([...before, ...names], { env, cwd: folder });
      expect([code, stderr]).toEqual([0, ""]);
    }
    const { stdout } = await runYore(["ls", "latest", "/y", ...names.fill("/x")], { env });
    expect(stdout.split("\n").slice(1)).toEqual(["/x", ""]);
  }, 120_000);

  it("arguments keep their order", () => {
    const program = new Command("yore");
    program.command("backup").argument("[path...]").option("-n, --dry-run").option("-e, --exclude <pattern>");
    const names = Array.from({ length: MANY }, (_, i) => String(i));
    const args = normaliseArguments(program, [
      "backup",
      "-e",
      "x",
      ...names.slice(0, 9),
      "-n",
      ...names.slice(9),
    ]);
    expect(args).toEqual(["backup", "--exclude=x", "--dry-run", "--", ...names]);
    const behind = normaliseArguments(program, ["backup", "--", "-n", ...names]);
    expect(behind).toEqual(["backup", "--", "-n", ...names]);
  });
});
