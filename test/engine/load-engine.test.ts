import { afterEach, describe, expect, it, vi } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import { PortableEngine } from "../../src/engine/portable/portable-engine.js";
import { selfTest } from "../../src/engine/self-test.js";
import { UsageError } from "../../src/errors.js";
import { loadAddon } from "../../src/native/addon.js";

describe("loadEngine", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  it("gives the portable engine when it is demanded", async () => {
    expect((await loadEngine({ env: { YORE_ENGINE: "portable" } })).name).toBe("portable");
  });

  it("gives the native engine when there is an addon", async () => {
    const wanted = loadAddon() ? "native" : "portable";
    expect((await loadEngine({ env: {} })).name).toBe(wanted);
  });

  it("refuses an engine that does not exist", async () => {
    await expect(loadEngine({ env: { YORE_ENGINE: "turbo" } })).rejects.toThrow(UsageError);
  });

  it("falls back with the reason when the addon cannot be loaded, unless the native engine is demanded", async () => {
    vi.stubEnv("YORE_ADDON", "/nonexistent/yore.node");
    // Loaded afresh, because a process looks for the addon only once.
    vi.resetModules();
    const fresh = await import("../../src/engine/load-engine.js");
    expect((await fresh.loadEngine({ env: {} })).name).toBe("portable");
    expect(fresh.engineProblem()).toContain('"/nonexistent/yore.node" is not built');
    await expect(fresh.loadEngine({ env: { YORE_ENGINE: "native" } })).rejects.toMatchObject({
      code: "native",
    });
  });

  it("falls back with the reason when what lies there is no addon", async () => {
    vi.stubEnv("YORE_ADDON", import.meta.filename);
    vi.resetModules();
    const fresh = await import("../../src/engine/load-engine.js");
    expect((await fresh.loadEngine({ env: {} })).name).toBe("portable");
    expect(fresh.engineProblem()).toMatch(/^Cannot load the native addon: /);
  });
});

describe("selfTest", () => {
  it("passes an engine that is right", async () => {
    await selfTest(await PortableEngine.create());
  });

  it("fails an engine that hashes, seals or unseals wrongly", async () => {
    const good = await PortableEngine.create();
    const broken = (change: Partial<Engine>): Engine =>
      new Proxy(good, {
        get: (_, name) => {
          if (name in change) return change[name as keyof Engine];
          const value: unknown = Reflect.get(good, name);
          return typeof value === "function" ? value.bind(good) : value;
        },
      });
    const accepting = broken({
      unseal: async (_, inputs) => inputs.map(({ sealed }) => ({ plaintext: sealed.subarray(16, -16) })),
    });
    const wrongHash = broken({ hash: (data) => good.hash(Uint8Array.from([...data, 0])) });
    const wrongSeal = broken({
      seal: async (key, inputs) => {
        const made = await good.seal(key, inputs);
        return made.map((one) => ({ ...one, sealed: Uint8Array.from(one.sealed).fill(0, 20, 24) }));
      },
    });
    for (const engine of [accepting, wrongHash, wrongSeal])
      await expect(selfTest(engine)).rejects.toThrow(/^its? /);
  });
});
