import { describe, expect, it } from "vitest";
import { BatchQueue } from "../../src/async/batch-queue.js";

/** A queue of numbers that weigh what they are, whose batches end when they are told to. */
function makeQueue(maxInFlight: number) {
  const batches: number[][] = [];
  const ends: (() => void)[] = [];
  const queue = new BatchQueue<number, string>({
    work: async (items) => {
      batches.push(items);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (items.includes(13)) throw new Error("unlucky");
      return items.map(String);
    },
    weigh: (item) => item,
    aloneFrom: 100,
    maxItems: 3,
    maxInFlight,
  });
  return { queue, batches, ends };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("BatchQueue", () => {
  it("puts small neighbours together, and large items alone", async () => {
    const { queue, batches, ends } = makeQueue(10);
    const results = [1, 2, 3, 4, 500, 5, 6, 600].map((item) => queue.run(item));
    await turn();
    expect(batches).toEqual([[1, 2, 3], [4], [500], [5, 6], [600]]);
    for (const end of ends) end();
    expect(await Promise.all(results)).toEqual(["1", "2", "3", "4", "500", "5", "6", "600"]);
  });

  it("does not wait for a batch to fill", async () => {
    const { queue, batches, ends } = makeQueue(1);
    const result = queue.run(1);
    await turn();
    expect(batches).toEqual([[1]]);
    ends[0]!();
    expect(await result).toBe("1");
  });

  it("lets items pile up while enough batches are under way", async () => {
    const { queue, batches, ends } = makeQueue(1);
    const first = queue.run(1);
    await turn();
    const others = [2, 3, 4].map((item) => queue.run(item));
    await turn();
    expect(batches).toEqual([[1]]);
    ends[0]!();
    await first;
    await turn();
    expect(batches).toEqual([[1], [2, 3, 4]]);
    ends[1]!();
    expect(await Promise.all(others)).toEqual(["2", "3", "4"]);
  });

  it("fails all of a batch, and goes on with the next", async () => {
    const { queue, ends } = makeQueue(1);
    const results = [12, 13, 14, 15].map((item) => queue.run(item));
    const settled = Promise.allSettled(results);
    await turn();
    ends[0]!();
    await Promise.allSettled(results.slice(0, 3));
    await turn();
    ends[1]!();
    expect((await settled).map(({ status }) => status)).toEqual([
      "rejected",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
  });
});
