import { describe, expect, it } from "vitest";
import { noise } from "../support/make-zoo.js";
import { missingPeer } from "../support/run.js";
import { SharedRepository } from "../support/same-backup.js";

/**
 * Without what differs from run to run: times, IDs, and sizes of what is sealed. Sorted, as restic's scan runs beside the backup:
 * what the two say comes in any order.
 */
function textLines(stdout: string): string[] {
  return stdout
    .split("\n")
    .filter((line) => !line.startsWith("Added to"))
    .map((line) => line.replace(/[\d.]+ (B|KiB) (stored|metadata)|in [\d.:]+s?|snapshot [0-9a-f]{8}/g, "#"))
    .sort();
}

/** The same of what is said of the scan and the items. */
function jsonLines(stdout: string): string[] {
  const messages = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return messages
    .filter((message) => message["message_type"] === "verbose_status")
    .map(({ action, item, data_size, total_files, ...rest }) =>
      JSON.stringify({ action, item, data_size, total_files, others: Object.keys(rest).sort() }),
    )
    .sort();
}

describe.skipIf(missingPeer("restic"))("backup of a stream", () => {
  const TIME = ["--time", "2022-03-04 05:06:07"];

  it("makes of standard input what restic makes of it", async () => {
    const repository = await SharedRepository.create();
    const input = noise(12_000_000, 77);
    const args = ["--stdin", "--stdin-filename", "some/folder/stream", ...TIME];
    const expected = await repository.backup("restic", args, { input });
    const actual = await repository.backup("yore", args, { input });
    expect(actual).toMatchObject({ tree: expected.tree, data_blobs: 0, files_new: 1, dirs_new: 2 });
    const dumped = await repository.succeed("restic", ["dump", "latest", "some/folder/stream"]);
    expect(dumped.stdoutBytes.equals(input)).toBe(true);
  });

  it("saves what a command prints, and keeps our passwords from it", async () => {
    const repository = await SharedRepository.create();
    const script = "printf 'known: '; env | grep -c -E '^(RESTIC|YORE)_'; echo aside >&2; true";
    const args = [...TIME, "--stdin-from-command", "--stdin-filename", "out", "--", "sh", "-c", script];
    const result = await repository.succeed("yore", ["backup", ...args]);
    expect(result.stderr).toContain("aside");
    const dumped = await repository.succeed("restic", ["dump", "latest", "out"]);
    expect(dumped.stdout).toBe("known: 0\n");
    const simple = ["--force", ...TIME, "--stdin-from-command", "--", "seq", "100000"];
    const expected = await repository.backup("restic", simple);
    const actual = await repository.backup("yore", simple);
    expect(actual.tree).toBe(expected.tree);
  });

  it("makes no snapshot when the command fails or does not exist", async () => {
    const repository = await SharedRepository.create();
    const run = (...command: string[]) =>
      repository.run("yore", ["backup", "--stdin-from-command", "--", ...command]);
    const failed = await run("sh", "-c", "echo some; exit 3");
    expect([failed.code, failed.stderr.includes("command failed: exit status 3")]).toEqual([1, true]);
    expect(await run("/does/not/exist")).toMatchObject({ code: 1 });
    expect((await repository.succeed("restic", ["list", "snapshots"])).stdout).toBe("");
    await repository.succeed("restic", ["check", "--read-data"]);
  });

  it("says of a command that fails what restic says before its end", async () => {
    const said: Record<string, unknown> = {};
    for (const program of ["restic", "yore"] as const) {
      const repository = await SharedRepository.create();
      const args = ["--stdin-from-command", "--stdin-filename", "out", "--", "sh", "-c", "echo x; exit 3"];
      const { stderr } = await repository.run(program, ["backup", "--json", ...args]);
      const [error, end, ...others] = stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      said[program] = [error, end.message_type, end.code, others];
      const text = await repository.run(program, ["backup", ...args]);
      expect(text.stderr.split("\n")[0]).toBe(
        "error: failed to save /out: Fatal: command failed: exit status 3",
      );
    }
    expect(said["yore"]).toEqual(said["restic"]);
  });

  it("takes no input at all for an error, but makes the snapshot, as restic does", async () => {
    const repository = await SharedRepository.create();
    const result = await repository.run("yore", ["backup", "--stdin"], { input: "" });
    expect([result.code, result.stderr.includes("no data read")]).toEqual([3, true]);
    expect(result.stdout).toMatch(/snapshot [0-9a-f]{8} saved/);
  });

  it.each([
    ["standard input", ["-vv", "--stdin", "--stdin-filename", "some/folder/stream"], []],
    ["standard input without a scan", ["-v", "--no-scan", "--stdin"], []],
    ["what a command prints", ["-vv", "--stdin-from-command"], ["--", "seq", "10"]],
  ])("says of %s what restic says, in text and as JSON", async (_, flags, command) => {
    const said: Record<string, unknown[]> = { restic: [], yore: [] };
    for (const program of ["restic", "yore"] as const) {
      const repository = await SharedRepository.create();
      // The second one has a parent, where there is one at all.
      for (const format of [[], ["--json"], []]) {
        const args = ["backup", ...format, ...flags, ...command];
        const { stdout } = await repository.succeed(program, args, { input: "hello\n" });
        said[program]!.push(format.length > 0 ? jsonLines(stdout) : textLines(stdout));
      }
    }
    expect(said["yore"]).toEqual(said["restic"]);
  });

  it("refuses other sources beside it", async () => {
    const repository = await SharedRepository.create();
    const both = await repository.run("yore", ["backup", "--stdin", "/etc/hostname"], { input: "x" });
    expect([both.code, both.stderr.includes("--stdin was specified")]).toEqual([1, true]);
    const list = await repository.run("yore", ["backup", "--stdin", "--files-from", "x"], { input: "x" });
    expect([list.code, list.stderr.includes("cannot be used together")]).toEqual([1, true]);
  });
});
