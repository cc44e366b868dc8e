import { describe, expect, it } from "vitest";
import { type Id, IdList } from "../../src/bytes/id.js";
import { type SkimmedNode, SkimmedTree } from "../../src/commands/skimmed-tree.js";
import { DamagedError } from "../../src/errors.js";
import type { TreeNode } from "../../src/format/node.js";
import { decodeTree, encodeTree } from "../../src/format/tree.js";
import { node } from "../repository/support.js";

const ID = new Uint8Array(32).fill(7) as Uint8Array as Id;
const named = (i: number, odd = "") => `n${String(i).padStart(5, "0")}${odd}`;

/** Every kind of node, more than fit into one part. */
function nodes(count: number, name: (i: number) => string = named): TreeNode[] {
  const types = ["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"] as const;
  return Array.from({ length: count }, (_, i) => {
    const type = types[i % types.length]!;
    return node(name(i), {
      type,
      size: i,
      links: i % 3,
      inode: BigInt(i),
      deviceId: 5n,
      mtime: { seconds: i, nanoseconds: 1, zoneMinutes: 90 },
      subtree: type === "dir" ? ID : undefined,
      content: type === "file" ? IdList.from([ID, ID]) : null,
      linkTarget: type === "symlink" ? Buffer.from("there") : undefined,
      user: "ada",
    });
  });
}

const skim = (json: Uint8Array) => new SkimmedTree(ID, json);

function shown(one: SkimmedNode): object {
  const { name, nameText, type, size, links, inode, deviceId, mtime, subtree, content } = one;
  const { seconds, nanoseconds } = mtime;
  const ids = [subtree && Buffer.from(subtree).toString("hex"), content.length];
  return [name.toString(), nameText, type, size, links, inode, deviceId, seconds, nanoseconds, ...ids];
}

describe("SkimmedTree", () => {
  it.each([0, 1, 4096, 4097, 9000])("says of %i nodes what decoding them says", (count) => {
    const json = encodeTree(nodes(count));
    const tree = skim(json);
    const decoded = decodeTree(json);
    let i = 0;
    for (const one of tree) {
      const { name, type, size, links, inode, deviceId, mtime, subtree, content } = decoded[i++]!;
      const whole = { name, type, size, links, inode, deviceId, mtime, subtree, content };
      expect(shown(one)).toEqual(
        shown({
          ...whole,
          content: content ?? IdList.EMPTY,
          nameText: name.toString(),
          decode: () => expect.unreachable(),
          isWrittenAs: () => false,
        }),
      );
      if (i % 100 === 1 || i > count - 3) expect(one.decode()).toEqual(decoded[i - 1]);
    }
    expect(i).toBe(count);
    expect([...tree]).toHaveLength(count);
  });

  it("goes on where a name needs quotes, in whatever part", () => {
    for (const odd of [0, 4095, 4096, 8999]) {
      const json = encodeTree(nodes(9000, (i) => named(i, i === odd ? '"\n' : "")));
      const decoded = decodeTree(json);
      const skimmed = [...skim(json)];
      expect(skimmed.map(({ nameText }) => nameText)).toEqual(decoded.map(({ name }) => name.toString()));
      expect(skimmed[odd]!.decode()).toEqual(decoded[odd]);
      expect(skimmed[8999]!.decode()).toEqual(decoded[8999]);
    }
  });

  it("hands out what is before the damage, and names the tree there", () => {
    const json = encodeTree(nodes(9000));
    const taken: SkimmedNode[] = [];
    const take = (bytes: Uint8Array) => {
      taken.length = 0;
      for (const one of skim(bytes)) taken.push(one);
    };
    expect(() => take(json.subarray(0, json.length - 10))).toThrow(DamagedError);
    expect(taken).toHaveLength(8999);
    expect(() => take(json.subarray(0, json.length - 10))).toThrow(/tree 07070707: .*node 8999/);
    expect(() => take(Buffer.alloc(0))).toThrow(DamagedError);
    expect(taken).toEqual([]);
  });

  it("knows a node that is written as another, wherever the two stand", () => {
    const [left, right] = [nodes(5000), nodes(5001)].map((list) => [...skim(encodeTree(list))]);
    const changed = nodes(5000).map((one, i) => (i === 4500 ? { ...one, uid: 1 } : one));
    for (const i of [0, 1, 4094, 4096, 4998]) expect(left![i]!.isWrittenAs(right![i]!)).toBe(true);
    const other = [...skim(encodeTree(changed))];
    expect(left!.filter((one, i) => !one.isWrittenAs(other[i]!)).map(({ size }) => size)).toEqual([4500]);
    expect(left![1]!.isWrittenAs(left![2]!)).toBe(false);
  });

  it("decodes nothing when it is closed: its memory is another's by then", () => {
    const tree = skim(encodeTree(nodes(3)));
    const [first] = tree;
    tree.close();
    expect(() => first!.decode()).toThrow(/after the tree had been left/);
    expect(() => [...tree]).toThrow(/after the tree had been left/);
  });
});
