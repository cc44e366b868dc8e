import { accessSync, constants, readdirSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AwakeProcessors } from "../../src/fuse/awake-processors.js";
import { Opcode } from "../../src/fuse/kernel-abi.js";

const DEVICE = "/dev/cpu_dma_latency";

/** Only root may ask the kernel for it, and a container has no such device. */
function isUsable(): boolean {
  try {
    accessSync(DEVICE, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** How often this process has it open: so long the kernel keeps its promise. */
function holds(): number {
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // That of the listing itself.
    }
  });
  return targets.filter((target) => target === DEVICE).length;
}

describe.skipIf(!isUsable())("AwakeProcessors", () => {
  let awake: AwakeProcessors;
  const ask = (
    times: number,
    options: { count?: number; opcode?: number; bytes?: number; everyMs?: number } = {},
  ) => {
    const request = { pid: 7, opcode: options.opcode ?? Opcode.GETXATTR, u32: () => options.bytes ?? 0 };
    for (let i = 0; i < times; i++) {
      vi.advanceTimersByTime(options.everyMs ?? 0.1);
      awake.note(options.count ?? 1, request);
    }
  };

  beforeEach(() => {
    vi.useFakeTimers();
    awake = new AwakeProcessors();
  });

  afterEach(() => {
    awake.stop();
    vi.useRealTimers();
  });

  it("keeps them awake while turns follow each other closely, and no longer", () => {
    ask(200);
    expect(holds()).toBe(1);
    ask(2000);
    expect(holds()).toBe(1);
    vi.advanceTimersByTime(250);
    expect(holds()).toBe(0);
    ask(200);
    expect(holds()).toBe(1);
    awake.stop();
    expect(holds()).toBe(0);
  });

  it.each([
    ["nobody is in a hurry", { everyMs: 5 }],
    ["much is asked at once", { count: 2 }],
    ["much is read", { opcode: Opcode.READ, bytes: 1 << 20 }],
  ])("lets them sleep while %s", (_when, options) => {
    ask(1000, options);
    expect(holds()).toBe(0);
  });

  it("keeps them awake for who reads small files", () => {
    ask(200, { opcode: Opcode.READ, bytes: 4096 });
    expect(holds()).toBe(1);
  });
});
