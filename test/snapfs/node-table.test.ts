import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NodeId, ROOT_NODE } from "../../src/fuse/filesystem.js";
import { hashIno } from "../../src/snapfs/ino.js";
import { NodeTable } from "../../src/snapfs/node-table.js";
import type { Place } from "../../src/snapfs/place.js";

const PLACE: Place = { kind: "link", target: Buffer.from("x"), time: { seconds: 0, nanoseconds: 0 } };

describe("NodeTable", () => {
  it("enter gives the same number for the same place until all of it is given back", () => {
    const table = new NodeTable(PLACE, 1n);
    const node = table.enter(ROOT_NODE, 5, 55n);
    expect(table.enter(ROOT_NODE, 5, 55n)).toBe(node);
    expect(table.enter(ROOT_NODE, 6, 66n)).not.toBe(node);
    expect([table.ino(node), table.position(node), table.parent(node)]).toEqual([55n, 5, ROOT_NODE]);
    expect(table.forget(node, 1)).toEqual([]);
    expect(table.forget(node, 1).map((freed) => freed.node)).toEqual([node]);
    expect(() => table.ino(node)).toThrow(/not known any more/);
    expect(table.enter(ROOT_NODE, 5, 55n)).not.toBe(node);
  });

  it("a directory stays as long as something below it does", () => {
    const table = new NodeTable(PLACE, 1n);
    const directory = table.enter(ROOT_NODE, 0, 2n);
    table.setPlace(directory, PLACE);
    const file = table.enter(directory, 0, 3n);
    expect(table.forget(directory, 1)).toEqual([]);
    expect(table.parent(file)).toBe(directory);
    expect(table.forget(file, 1).map((freed) => freed.node)).toEqual([file, directory]);
    expect(table.size).toBe(1);
  });

  it("enterVirtual tells apart what stood behind a name at different times", () => {
    const table = new NodeTable(PLACE, 1n);
    const before = table.enterVirtual(ROOT_NODE, "latest/l1", 2n, PLACE);
    const after = table.enterVirtual(ROOT_NODE, "latest/l2", 2n, PLACE);
    expect(after).not.toBe(before);
    expect(table.enterVirtual(ROOT_NODE, "latest/l1", 2n, PLACE)).toBe(before);
    expect(table.place(before)).toMatchObject(PLACE);
    expect(table.forget(ROOT_NODE, 100)).toEqual([]);
  });

  it("agrees with a plain map, whatever comes and goes", () => {
    const step = fc.record({
      enter: fc.boolean(),
      position: fc.nat(3000),
      count: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 400 }), (steps) => {
        const table = new NodeTable(PLACE, 1n);
        const model = new Map<number, { node: NodeId; count: number }>();
        // Enough to make the table grow on the way.
        for (let position = 10_000; position < 11_500; position++) table.enter(ROOT_NODE, position, 1n);
        for (const { enter, position, count } of steps) {
          const known = model.get(position);
          if (enter) {
            const node = table.enter(ROOT_NODE, position, BigInt(position));
            if (known) expect(node).toBe(known.node);
            model.set(position, { node, count: (known?.count ?? 0) + 1 });
          } else if (known) {
            table.forget(known.node, Math.min(count, known.count));
            if (known.count <= count) model.delete(position);
            else known.count -= count;
          }
        }
        expect(table.size).toBe(1 + 1500 + model.size);
        for (const [position, { node }] of model) expect(table.position(node)).toBe(position);
      }),
      { numRuns: 50 },
    );
  });
});

describe("hashIno", () => {
  it("never changes: numbers are the same from mount to mount and from version to version", () => {
    expect(hashIno(1n, Buffer.from("ids"))).toMatchInlineSnapshot(`12095342550490399607n`);
    expect(hashIno(0xfedcba9876543210n, Buffer.from("a longer name"))).toMatchInlineSnapshot(
      `7932245103780029837n`,
    );
  });

  it("spreads similar names, and tells apart names that end in zeros", () => {
    const seen = new Set<bigint>();
    for (let i = 0; i < 100_000; i++) seen.add(hashIno(7n, Buffer.from(`file-${i}`)));
    seen.add(hashIno(7n, Buffer.from("a")));
    seen.add(hashIno(7n, Buffer.from("a\0")));
    expect(seen.size).toBe(100_002);
    // The low halves alone collide about as often as 32 random bits would: once or twice.
    expect(new Set([...seen].map((ino) => ino & 0xffffffffn)).size).toBeGreaterThan(99_980);
  });
});
