import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Handle } from "../../src/backend/backend.js";
import { BusyError } from "../../src/backend/busy-error.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { RetryBackend } from "../../src/backend/retry-backend.js";
import { YoreError } from "../../src/errors.js";

const HANDLE: Handle = { type: "pack", name: "a".repeat(64) };
const MINUTE = 60_000;

/** Fails for as long as there is something to fail with. */
class FailingBackend extends MemoryBackend {
  failure: YoreError | undefined;
  loads = 0;

  override async load(): Promise<Uint8Array> {
    this.loads++;
    if (this.failure) throw this.failure;
    return Buffer.from("here");
  }
}

describe("RetryBackend, when a file could not be loaded in all the time that there was", () => {
  let inner: FailingBackend;
  let backend: RetryBackend;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["performance"] });
    inner = new FailingBackend();
    backend = new RetryBackend(inner, { firstDelayMs: 0, totalMs: 0 });
  });

  afterEach(async () => {
    vi.useRealTimers();
    await backend.close();
  });

  it.each([
    ["for an hour", new YoreError("backend", "Cannot load: the server is away"), 60],
    [
      "for as long as the server asks",
      new BusyError("Cannot load: the server asks to wait", 20 * MINUTE),
      20,
    ],
    ["for no more than an hour", new BusyError("Cannot load: the server asks to wait", 1e20), 60],
  ])("does not try it again %s, and says why", async (_, failure, minutes) => {
    inner.failure = failure;
    await expect(backend.load(HANDLE)).rejects.toThrow(failure.message);
    inner.failure = undefined;
    const { loads } = inner;
    vi.advanceTimersByTime(minutes * MINUTE - 1);
    await expect(backend.load(HANDLE)).rejects.toThrow(`${failure.message}; not tried again for now`);
    expect(inner.loads).toBe(loads);
    vi.advanceTimersByTime(1);
    expect(Buffer.from(await backend.load(HANDLE)).toString()).toBe("here");
  });
});
