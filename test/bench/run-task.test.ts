import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { measure } from "../../scripts/bench/measure.js";
import type { Program } from "../../scripts/bench/programs.js";
import { agrees, runTask } from "../../scripts/bench/run-task.js";
import type { Place, Task } from "../../scripts/bench/task.js";
import { chooseTasks, TASKS } from "../../scripts/bench/tasks.js";

const data = mkdtempSync(join(tmpdir(), "yore-test-bench-"));
const place: Place = { data, scratch: join(data, "scratch"), short: true };
const program = (name: string, script: string): Program => ({ name, argv: ["bash", "-c", script] });
const task = (limit?: string): Task => ({
  name: "say",
  what: "say a word",
  async run({ argv }) {
    const { sample, stdout } = await measure({ argv });
    return { sample, proof: stdout.trim() };
  },
  ...(limit
    ? { limit: async () => ({ sample: { seconds: 1, cpuSeconds: 1, peakBytes: 1 }, proof: limit }) }
    : {}),
});

beforeAll(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

afterAll(() => {
  vi.restoreAllMocks();
  rmSync(data, { recursive: true });
});

describe("runTask", () => {
  const right = program("right", "echo word");

  it("takes a sample of each program for each pair, in turn", async () => {
    const order: string[] = [];
    const told: Task = {
      ...task(),
      run(which, at) {
        order.push(which.name);
        return task().run(which, at);
      },
    };
    const result = await runTask(told, place, {
      ours: right,
      rival: program("other", "echo word"),
      pairs: 2,
    });
    expect(order).toEqual(["right", "other", "right", "other"]);
    expect(result.ours).toHaveLength(2);
    expect(result.theirs).toHaveLength(2);
  });

  it("never counts a program that gives something else, says nothing, or fails", async () => {
    for (const wrong of ["echo other", "true", "exit 1", "kill -9 $$"]) {
      const rival = program("wrong", wrong);
      const result = await runTask(task("word"), place, { ours: right, rival, pairs: 3 });
      expect(result.ours).toHaveLength(3);
      expect(result.theirs).toHaveProperty("failed");
      expect(await runTask(task("word"), place, { ours: rival, rival: right, pairs: 1 })).toHaveProperty(
        "ours.failed",
      );
    }
  });

  it("holds the two programs against each other where nothing else says what is right", async () => {
    const result = await runTask(task(), place, {
      ours: right,
      rival: program("wrong", "echo other"),
      pairs: 1,
    });
    expect(result.theirs).toHaveProperty("failed", expect.stringContaining('"other", expected "word"'));
  });

  it("tells what is not supported from what failed", async () => {
    const rival = program(
      "young",
      'echo "Fatal: Cannot run \\"find\\": the command is not supported yet" >&2; exit 1',
    );
    const result = await runTask(task("word"), place, { ours: right, rival, pairs: 1 });
    expect(result.theirs).toEqual({ unsupported: true });
  });
});

describe("agrees", () => {
  it("wants the same, and never nothing", () => {
    expect(agrees("1 2", "1 2")).toBe(true);
    expect(agrees("1 2", "1 3")).toBe(false);
    expect(agrees("", "")).toBe(false);
  });

  it("allows a number to be near only within the tolerance", () => {
    expect(agrees("80", "100", 0.25)).toBe(true);
    expect(agrees("70", "100", 0.25)).toBe(false);
    expect(agrees("error", "100", 0.25)).toBe(false);
    expect(agrees("", "100", 0.25)).toBe(false);
  });
});

describe("chooseTasks", () => {
  it("finds tasks by name, which are all different, and refuses a name that is none", () => {
    expect(new Set(TASKS.map((task) => task.name)).size).toBe(TASKS.length);
    expect(chooseTasks("tar,find").map((task) => task.name)).toEqual(["tar", "find"]);
    expect(() => chooseTasks("tar,fnid")).toThrow('"fnid"');
  });
});
