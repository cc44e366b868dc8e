import { describe, expect, it } from "vitest";
import { formatReport, formatRow, hasFailed, type Result } from "../../scripts/bench/table.js";

const MIB = 1024 ** 2;
const sample = (seconds: number, cpuSeconds: number, mebibytes: number) => ({
  seconds,
  cpuSeconds,
  peakBytes: mebibytes * MIB,
});

const RESULT: Result = {
  task: "tar",
  what: "`tar` of it",
  ours: [sample(2, 3, 100), sample(4, 5, 120), sample(3, 4, 110)],
  theirs: [sample(20, 30, 200), sample(20, 30, 220), sample(27, 30, 210)],
  limit: sample(1.5, 1, 2),
};

describe("formatRow", () => {
  it("shows medians of seconds, processor seconds and MiB, the ratio pair by pair, and the limit", () => {
    expect(formatRow(RESULT)).toBe(
      "| `tar` of it | 3.00, 4.0, 110 | 20.00, 30.0, 210 | **9.0** (5.0 to 10.0) | 1.50 | 2.0 |",
    );
  });

  it("has no ratio where one of the two cannot do it, and says so", () => {
    const { limit: _, ...withoutLimit } = RESULT;
    expect(formatRow({ ...withoutLimit, ours: { unsupported: true } })).toBe(
      "| `tar` of it | not supported yet | 20.00, 30.0, 210 |  |  |  |",
    );
    expect(formatRow({ ...withoutLimit, theirs: { failed: "why" } })).toBe(
      "| `tar` of it | 3.00, 4.0, 110 | failed |  |  |  |",
    );
  });
});

describe("formatReport", () => {
  it("gives each row as many cells as the head, below the machine", () => {
    const lines = formatReport({ machine: "one core", rival: "restic", results: [RESULT, RESULT] }).split(
      "\n",
    );
    expect(lines[0]).toBe("one core.");
    const rows = lines.slice(lines.indexOf("") + 1);
    expect(rows).toHaveLength(4);
    expect(new Set(rows.map((line) => line.split("|").length))).toEqual(new Set([8]));
  });
});

describe("hasFailed", () => {
  it("is for what did not work, not for what a program cannot do yet", () => {
    expect(hasFailed(RESULT)).toBe(false);
    expect(hasFailed({ ...RESULT, ours: { unsupported: true } })).toBe(false);
    expect(hasFailed({ ...RESULT, theirs: { failed: "exit code 1" } })).toBe(true);
  });
});
