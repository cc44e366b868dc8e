import { describe, expect, it } from "vitest";
import { Pace, PhaseView } from "../../src/cli/phase-progress.js";

describe("Pace", () => {
  it("reckons with the pace since the phase began", () => {
    const pace = new Pace();
    expect(pace.remainingSeconds(10, "read", 0, 100)).toBe(0);
    // A quarter in ten seconds: the rest takes thirty.
    expect(pace.remainingSeconds(20, "read", 25, 100)).toBe(30);
    expect(pace.remainingSeconds(50, "read", 100, 100)).toBe(0);
    // What came before does not count.
    expect(pace.remainingSeconds(51, "save", 3, 13)).toBe(0);
    expect(pace.remainingSeconds(53, "save", 5, 13)).toBe(8);
  });

  it("starts anew when the same phase does", () => {
    const pace = new Pace();
    pace.remainingSeconds(0, "packs", 0, 10);
    expect(pace.remainingSeconds(1, "packs", 5, 10)).toBe(1);
    expect(pace.remainingSeconds(100, "packs", 0, 10)).toBe(0);
    expect(pace.remainingSeconds(102, "packs", 1, 10)).toBe(18);
  });

  it("says nothing of what has no end yet, or went past it", () => {
    const pace = new Pace();
    pace.remainingSeconds(0, "trees", 0, 0);
    expect(pace.remainingSeconds(1, "trees", 5, 0)).toBe(0);
    expect(pace.remainingSeconds(2, "trees", 7, 6)).toBe(0);
  });
});

describe("PhaseView", () => {
  it("goes by the work, and shows the count", () => {
    let bytes = 0;
    const view = new PhaseView(() => ({
      phase: "data",
      done: bytes > 0 ? 1 : 0,
      total: 2,
      what: "packs",
      work: { done: bytes, total: 400 },
    }));
    expect(new PhaseView(() => undefined).status(0)).toBeUndefined();
    expect(view.lines(0)).toEqual(["[0:00] 0.00%  0 / 2 packs"]);
    bytes = 100;
    expect(view.lines(5)).toEqual(["[0:05] 50.00%  1 / 2 packs ETA 0:15"]);
    expect(view.status(5)).toEqual({
      message_type: "status",
      phase: "data",
      seconds_elapsed: 5,
      seconds_remaining: 15,
      done: 1,
      total: 2,
    });
  });
});
