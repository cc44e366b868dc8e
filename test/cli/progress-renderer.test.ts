import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatProgress, ProgressRenderer } from "../../src/cli/progress-renderer.js";
import { FakeIo } from "../support/fake-io.js";

describe("ProgressRenderer", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  const usual = { json: false, verbosity: 1, progressFps: undefined } as const;
  const lines = (seconds: number) => [`at ${seconds.toFixed(1)}`];

  it("draws on a terminal, and takes everything away in the end", () => {
    const io = new FakeIo({ terminalColumns: 40 });
    const renderer = new ProgressRenderer(io, usual, lines);
    vi.advanceTimersByTime(200);
    expect(io.out).toContain("at 0.2");
    renderer.stop();
    expect(io.out.endsWith("\r\x1b[2K\x1b[0J")).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(io.out).not.toContain("at 0.9");
  });

  it("prints nothing into a pipe, unless pictures a second are asked for", async () => {
    const io = new FakeIo();
    const silent = new ProgressRenderer(io, usual, lines);
    vi.advanceTimersByTime(5000);
    silent.stop();
    const asked = new ProgressRenderer(io, { ...usual, progressFps: 2 }, lines);
    vi.advanceTimersByTime(1000);
    asked.stop();
    await io.stdout.flush();
    expect(io.out).toBe("at 0.5\nat 1.0\n");
  });

  it("prints status lines ten times a second with --json", async () => {
    const io = new FakeIo();
    const renderer = new ProgressRenderer(io, { ...usual, json: true }, lines, (seconds) => ({
      message_type: "status",
      seconds,
    }));
    vi.advanceTimersByTime(1000);
    renderer.stop();
    await io.stdout.flush();
    expect(io.out.trimEnd().split("\n")).toHaveLength(10);
    expect(JSON.parse(io.out.split("\n")[0]!)).toEqual({ message_type: "status", seconds: 0.1 });
  });

  it("shows nothing with --quiet, but one line on SIGUSR1", async () => {
    const io = new FakeIo();
    const renderer = new ProgressRenderer(io, { ...usual, verbosity: 0 }, lines);
    vi.advanceTimersByTime(2000);
    process.emit("SIGUSR1");
    renderer.stop();
    await io.stdout.flush();
    expect(io.out).toBe("at 2.0\n");
  });

  it("leaves no listener behind", () => {
    const before = process.listenerCount("SIGUSR1");
    const renderer = new ProgressRenderer(new FakeIo(), usual, lines);
    renderer.stop();
    renderer.stop();
    expect(process.listenerCount("SIGUSR1")).toBe(before);
  });
});

describe("formatProgress", () => {
  it("writes what restic writes", () => {
    expect(formatProgress(5, 12, 34, "packs")).toBe("[0:05] 35.29%  12 / 34 packs");
    expect(formatProgress(3700, 12, 0, "snapshots")).toBe("[1:01:40] 12 snapshots");
  });
});
