import { describe, expect, it } from "vitest";
import { Pending } from "../../src/async/pending.js";

function controlled() {
  let resolve = () => {};
  let reject = (_: unknown) => {};
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}

describe("Pending", () => {
  it("makes whoever adds wait only while there is enough", async () => {
    const pending = new Pending(2);
    const works = [controlled(), controlled(), controlled()];
    expect(pending.add(works[0]!.promise)).toBeUndefined();
    const room = pending.add(works[1]!.promise)!;
    works[1]!.resolve();
    await room;
    const again = pending.add(works[2]!.promise)!;
    works[0]!.resolve();
    await again;
    works[2]!.resolve();
    await pending.drain();
  });

  it("fails as the first has failed, to all that is added and in the end, which comes after all", async () => {
    const pending = new Pending(3);
    const works = [controlled(), controlled(), controlled()];
    for (const { promise } of works.slice(0, 2)) expect(pending.add(promise)).toBeUndefined();
    works[1]!.reject(new Error("first"));
    await expect(pending.add(works[2]!.promise)).rejects.toThrow("first");
    const end: string[] = [];
    const drained = pending.drain().catch((error: Error) => end.push(error.message));
    works[2]!.reject(new Error("second"));
    await works[2]!.promise.catch(() => {});
    end.push("last work");
    works[0]!.resolve();
    await drained;
    expect(end).toEqual(["last work", "first"]);
  });
});
