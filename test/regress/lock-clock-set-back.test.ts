import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { equalIds } from "../../src/bytes/id.js";
import { createRepository } from "../repository/support.js";

const HOUR = 3_600_000;

describe("RepositoryLock", () => {
  it("goes on being refreshed when the clock is set back", async () => {
    const repository = await createRepository({}, new MemoryBackend());
    let now = Date.now();
    const lock = await repository.lock({
      exclusive: false,
      timings: { settleMs: 1, tickMs: 5, refreshMs: 100_000, now: () => now },
    });
    const first = lock.id;
    now -= 2 * HOUR;
    await expect.poll(() => equalIds(lock.id, first), { timeout: 5000 }).toBe(false);
    const second = lock.id;
    now += 100_000;
    await expect.poll(() => equalIds(lock.id, second), { timeout: 5000 }).toBe(false);
    await lock.release();
    await repository.close();
  });
});
