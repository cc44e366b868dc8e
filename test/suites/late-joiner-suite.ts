import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { YoreError } from "../../src/errors.js";
import { MemoryLoader } from "../cache/memory-loader.js";

/** A cache with the timeout, and how something of the loader is asked for by it, at once and ahead. */
export type MakeLoads = (
  loader: MemoryLoader,
  timeoutMs: number,
) => { readonly load: () => Promise<unknown>; readonly loadAhead: () => Promise<unknown> };

/** @param content what `load` resolves to */
export function lateJoinerSuite(makeLoads: MakeLoads, content: unknown): void {
  describe.each(["load", "loadAhead"] as const)("who joins a %s that gets no answer", (begun) => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it("late has the whole time to wait", async () => {
      const loader = new MemoryLoader();
      const loads = makeLoads(loader, 1000);
      const ask = () => loads.load().catch((error: YoreError) => error.code);
      loader.gate = new Promise(() => {});
      const first = begun === "load" ? ask() : loads.loadAhead();
      await vi.advanceTimersByTimeAsync(500);
      const second = ask();
      await vi.advanceTimersByTimeAsync(300);
      const third = ask();
      await vi.advanceTimersByTimeAsync(200);
      await first;
      await vi.advanceTimersByTimeAsync(400);
      loader.gate = Promise.resolve();
      await vi.advanceTimersByTimeAsync(100);
      expect(await second).toBe("timeout");
      expect(await third).toEqual(content);
    });
  });
}
