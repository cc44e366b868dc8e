import { describe, expect, it } from "vitest";
import { forEachConcurrently, mapConcurrently } from "../../src/async/map-concurrently.js";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("forEachConcurrently", () => {
  it("has no more than the limit under way, and takes nothing before there is room", async () => {
    let taken = 0;
    let running = 0;
    let most = 0;
    function* source() {
      for (let i = 0; i < 20; i++) {
        taken++;
        yield i;
      }
    }
    let done = 0;
    await forEachConcurrently(source(), 3, async () => {
      most = Math.max(most, ++running);
      expect(taken - done).toBeLessThanOrEqual(3);
      await turn();
      running--;
      done++;
    });
    expect([taken, done, most]).toEqual([20, 20, 3]);
  });

  it("throws the first failure after what is under way has ended", async () => {
    let ended = 0;
    const work = async (item: number) => {
      await turn();
      if (item === 1) throw new Error("one");
      await turn();
      ended++;
    };
    await expect(forEachConcurrently([0, 1, 2, 3, 4, 5, 6, 7], 3, work)).rejects.toThrow("one");
    expect(ended).toBe(2);
  });

  it("waits for what is under way also when the signal fires or the source fails", async () => {
    const controller = new AbortController();
    let running = 0;
    const work = async () => {
      running++;
      controller.abort();
      await turn();
      running--;
    };
    const stopped = forEachConcurrently([1, 2, 3], 2, work, controller.signal);
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
    expect(running).toBe(0);
    async function* broken() {
      yield 1;
      throw new Error("source");
    }
    await expect(forEachConcurrently(broken(), 2, work)).rejects.toThrow("source");
    expect(running).toBe(0);
  });
});

describe("mapConcurrently", () => {
  it("keeps the order of the items", async () => {
    const results = await mapConcurrently([5, 1, 3], 3, async (item) => {
      for (let i = 0; i < item; i++) await turn();
      return item * 2;
    });
    expect(results).toEqual([10, 2, 6]);
  });
});
