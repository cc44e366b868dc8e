import { describe, expect, it } from "vitest";
import { FailureLog } from "../../src/fuse/failure-log.js";

describe("FailureLog", () => {
  it("writes a line once in its quiet time, and then says how often it came", () => {
    let now = 0;
    const lines: string[] = [];
    const log = new FailureLog({ onLog: (line) => lines.push(line), quietMs: 1000, now: () => now });
    for (; now < 1000; now += 100) log.write("a");
    log.write("b");
    log.write("a");
    log.write("a");
    expect(lines).toEqual(["a", "b", "a (and 9 times more since)"]);
  });

  it("remembers only so many lines", () => {
    const lines: string[] = [];
    const log = new FailureLog({ onLog: (line) => lines.push(line), now: () => 0 });
    for (let i = 0; i < 300; i++) log.write(`line ${i}`);
    log.write("line 0");
    log.write("line 299");
    expect(lines.length).toBe(301);
  });

  it("does not let a log that cannot be written disturb anybody", () => {
    const log = new FailureLog({
      onLog: () => {
        throw new Error("disk full");
      },
    });
    expect(() => log.write("a")).not.toThrow();
  });
});
