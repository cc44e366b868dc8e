import { describe, expect, it } from "vitest";
import { idFromBytes } from "../../src/bytes/id.js";
import { selectPacks } from "../../src/maintenance/pack-selection.js";

const PACKS = Array.from({ length: 1000 }, (_, i) => {
  return { packId: idFromBytes(Buffer.alloc(32, i % 256)), size: 1000 };
});

describe("selectPacks", () => {
  it("cuts the packs into groups that together are all", () => {
    const groups = [1, 2, 3, 4, 5, 6, 7].map((group) =>
      selectPacks(PACKS, { kind: "group", group, groups: 7 }),
    );
    expect(new Set(groups.flat()).size).toBe(PACKS.length);
    expect(groups.flat()).toHaveLength(PACKS.length);
  });

  it("takes about so many percent, each pack once, and others each time", () => {
    const first = selectPacks(PACKS, { kind: "percent", percent: 12.5 });
    expect(new Set(first).size).toBe(125);
    expect(selectPacks(PACKS, { kind: "percent", percent: 12.5 })).not.toEqual(first);
  });

  it("takes at least one pack, if there is one", () => {
    expect(selectPacks(PACKS, { kind: "percent", percent: 0.001 })).toHaveLength(1);
    expect(selectPacks(PACKS, { kind: "bytes", bytes: 1 })).toHaveLength(1);
    expect(selectPacks([], { kind: "percent", percent: 50 })).toEqual([]);
    expect(selectPacks([], { kind: "bytes", bytes: 5 })).toEqual([]);
  });

  it("takes packs for about so many bytes, at most all", () => {
    expect(selectPacks(PACKS, { kind: "bytes", bytes: 50_000 })).toHaveLength(50);
    expect(selectPacks(PACKS, { kind: "bytes", bytes: 1e12 })).toHaveLength(1000);
  });
});
