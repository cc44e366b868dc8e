import { spawn } from "node:child_process";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { CommandError, cleanEnvironment, measure } from "../../scripts/bench/measure.js";
import { accountOf } from "../../scripts/bench/process-tree.js";

const SPIN = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";

afterEach(() => {
  delete process.env["RESTIC_CACHE_DIR"];
});

describe("measure", () => {
  it("counts the processor time of grandchildren", async () => {
    const alone = await measure({ argv: ["bash", "-c", SPIN] });
    const nested = await measure({ argv: ["bash", "-c", `bash -c '${SPIN}'; bash -c '${SPIN}'; true`] });
    expect(alone.sample.cpuSeconds).toBeGreaterThan(0);
    expect(nested.sample.cpuSeconds).toBeGreaterThan(alone.sample.cpuSeconds * 1.3);
  });

  it("takes the memory of the program, and its output", async () => {
    const script = `const b = Buffer.alloc(200 * 1024 ** 2, 1); console.log(b.length)`;
    const { sample, stdout } = await measure({ argv: [process.execPath, "-e", script] });
    expect(stdout).toBe("209715200\n");
    expect(sample.peakBytes).toBeGreaterThan(200 * 1024 ** 2);
    expect(sample.peakBytes).toBeLessThan(400 * 1024 ** 2);
  });

  it("fails with what the program said when it does not exit with 0, or is killed", async () => {
    const failure = await measure({ argv: ["bash", "-c", "echo too bad >&2; exit 3"] }).catch(
      (error) => error,
    );
    expect(failure).toBeInstanceOf(CommandError);
    expect(failure.message).toContain("ended with 3: too bad");
    await expect(measure({ argv: ["bash", "-c", "kill -SEGV $$"] })).rejects.toThrow(CommandError);
    await expect(measure({ argv: ["/no/such/program"] })).rejects.toThrow(CommandError);
  });

  it("keeps variables of the shell away from both programs", async () => {
    process.env["RESTIC_CACHE_DIR"] = "/of/the/user";
    expect(cleanEnvironment()).not.toHaveProperty("RESTIC_CACHE_DIR");
    const { stdout } = await measure({ argv: ["env"], env: { RESTIC_REPOSITORY: "/here" } });
    expect(stdout.split("\n").filter((line) => /^(RESTIC|YORE)_/.test(line))).toEqual([
      "RESTIC_REPOSITORY=/here",
    ]);
  });
});

describe("accountOf", () => {
  it("counts children that still run, and those that were waited for", async () => {
    // What runs in the background reads from /dev/null, and would be gone at once, unless it is told otherwise.
    const script = `exec 3<&0; ${SPIN}; bash -c '${SPIN}'; bash -c '${SPIN}; echo done; read' <&3 & wait`;
    const child = spawn("bash", ["-c", script], { stdio: ["pipe", "pipe", "ignore"] });
    const exited = once(child, "exit");
    try {
      const before = accountOf(child.pid!);
      await once(child.stdout, "data");
      const after = accountOf(child.pid!);
      const { sample } = await measure({ argv: ["bash", "-c", SPIN] });
      expect(after.cpuSeconds - before.cpuSeconds).toBeGreaterThan(sample.cpuSeconds * 1.5);
      expect(after.peakBytes).toBeGreaterThan(1024 ** 2);
    } finally {
      child.stdin.end();
      child.kill();
      await exited;
    }
  });

  it("can be asked at any time while children come and go", async () => {
    const child = spawn("bash", ["-c", "for i in {1..300}; do true & /bin/true; done"], { stdio: "ignore" });
    let asked = 0;
    while (child.exitCode === null && child.signalCode === null) {
      try {
        accountOf(child.pid!);
        asked++;
      } catch (error) {
        // The process itself may end between the two.
        if (!String(error).includes(`/proc/${child.pid}/`)) throw error;
      }
      await setImmediate();
    }
    expect(asked).toBeGreaterThan(10);
  });

  it("fails for a process that is gone", async () => {
    const child = spawn("true");
    await once(child, "exit");
    expect(() => accountOf(child.pid!)).toThrow("ENOENT");
  });
});
