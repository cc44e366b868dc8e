import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Opcode } from "../../src/fuse/kernel-abi.js";
import { Placement } from "../../src/fuse/placement.js";
import { loadAddon } from "../../src/native/addon.js";

const addon = loadAddon();

function placementOf(options: { canFollow?: boolean; lingerMs?: number } = {}) {
  const calls: (number | "anywhere")[] = [];
  const placement = new Placement(
    {
      followThread(pid) {
        calls.push(pid);
        return options.canFollow ?? true;
      },
      runAnywhere() {
        calls.push("anywhere");
      },
    },
    { streak: 3, lingerMs: options.lingerMs ?? 60_000 },
  );
  const note = (pid: number, count = 1, opcode: number = Opcode.GETXATTR, size = 0) =>
    placement.note(count, { pid, opcode, u32: () => size });
  return { placement, calls, note };
}

describe("Placement", () => {
  it("follows a program that asks one thing after the other, again and again", () => {
    const { calls, note } = placementOf();
    for (let i = 0; i < 4; i++) note(7);
    expect(calls).toEqual([7]);
    for (let i = 0; i < 3; i++) note(7);
    expect(calls).toEqual([7, 7]);
  });

  it("counts what was answered without it", () => {
    const { placement, calls, note } = placementOf();
    note(7);
    note(7);
    expect(calls).toEqual([]);
    placement.note(1, { pid: 7, opcode: Opcode.GETXATTR, u32: () => 0 }, 1);
    expect(calls).toEqual([7]);
  });

  it.each([
    ["somebody else asks", (note: ReturnType<typeof placementOf>["note"]) => note(8)],
    ["much is asked at once", (note: ReturnType<typeof placementOf>["note"]) => note(7, 2)],
    ["much is read", (note: ReturnType<typeof placementOf>["note"]) => note(7, 1, Opcode.READ, 1 << 20)],
    ["it cannot be told who asks", (note: ReturnType<typeof placementOf>["note"]) => note(0)],
  ])("runs anywhere again when %s", (_when, ask) => {
    const { calls, note } = placementOf();
    for (let i = 0; i < 4; i++) note(7);
    ask(note);
    expect(calls).toEqual([7, "anywhere"]);
    ask(note);
    expect(calls).toEqual([7, "anywhere"]);
  });

  it("follows who reads small files", () => {
    const { calls, note } = placementOf();
    for (let i = 0; i < 4; i++) note(7, 1, Opcode.READ, 4096);
    expect(calls).toEqual([7]);
  });

  it("follows nobody while several take turns", () => {
    const { calls, note } = placementOf();
    for (let i = 0; i < 50; i++) note(7 + (i % 2));
    expect(calls).toEqual([]);
  });

  it("runs anywhere again a while after the last request", async () => {
    const { calls, note } = placementOf({ lingerMs: 1 });
    for (let i = 0; i < 4; i++) note(7);
    while (calls.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(calls).toEqual([7, "anywhere"]);
  });

  it("has nothing to leave when nobody could be followed", () => {
    const { calls, note } = placementOf({ canFollow: false });
    for (let i = 0; i < 4; i++) note(7);
    note(8);
    expect(calls).toEqual([7]);
  });
});

describe.runIf(addon && "followThread" in addon)("followThread and runAnywhere of the addon", () => {
  const allowed = () =>
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/thread-self/status", "utf8"))![1]!;

  it("keep this thread on the processor of another, and let it go", () => {
    const before = allowed();
    expect(addon!.followThread(process.pid)).toBe(true);
    expect(allowed()).toMatch(/^\d+$/);
    addon!.runAnywhere();
    expect(allowed()).toBe(before);
  });

  it("leave this thread where it is when there is no such thread", () => {
    const before = allowed();
    expect(addon!.followThread(0x7fffffff)).toBe(false);
    expect(allowed()).toBe(before);
  });

  it("refuse what is no thread", () => {
    expect(() => addon!.followThread("self" as unknown as number)).toThrow(TypeError);
    expect(() => addon!.followThread(-1)).toThrow(RangeError);
  });
});
