import { describe, expect, it } from "vitest";
import { formatId } from "../../src/bytes/id.js";
import { CompactTree } from "../../src/cache/compact-tree.js";
import { decodeTree } from "../../src/format/tree.js";
import { TreeDecoder } from "../../src/format/tree-decoder.js";
import { loadAddon } from "../../src/native/addon.js";
import { randomNumbers } from "../support/random.js";

const addon = loadAddon();

/** Everything that a tree says, through its own methods. */
function contents(tree: CompactTree): object[] {
  return Array.from({ length: tree.length }, (_, i) => ({
    name: tree.name(i).toString("latin1"),
    mode: tree.mode(i),
    size: tree.size(i),
    times: [tree.time(i, "mtime"), tree.time(i, "atime"), tree.time(i, "ctime")],
    origin: tree.origin(i),
    owner: [tree.uid(i), tree.gid(i), tree.links(i), tree.rdev(i)],
    content: [...tree.content(i)].map(formatId),
    subtree: tree.subtree(i) && formatId(tree.subtree(i)!),
    target: tree.linkTarget(i)?.toString("latin1"),
    targetLength: tree.targetLength(i),
    attributes: tree.extendedAttributes(i).map(({ name, value }) => [name, value && [...value]]),
    subdirectories: tree.subdirectories,
  }));
}

const native = (json: Uint8Array) => {
  const memory = addon?.compactTree(json);
  return memory && new CompactTree(memory);
};

const NODES: readonly string[] = [
  `{"name":"a","type":"file","mode":420,"mtime":"2024-02-29T23:59:59.123456789+05:30","atime":"1969-12-31T23:59:59Z","ctime":"0001-01-01T00:00:00Z","uid":1000,"gid":1001,"user":"ada","group":"staff","inode":18446744073709551615,"device_id":2049,"size":9007199254740991,"links":2,"content":["${"1f".repeat(32)}","${"e0".repeat(32)}"]}`,
  `{"name":"b","type":"dir","mode":2147484141,"mtime":"9999-12-31T23:59:59.5-12:00","atime":"2106-02-07T06:28:16Z","ctime":"2000-02-29T00:00:00.000000001Z","uid":0,"gid":0,"inode":5,"device_id":1,"content":null,"subtree":"${"ab".repeat(32)}"}`,
  `{"name":"c","type":"symlink","mode":134218239,"mtime":"2024-01-01T00:00:00Z","atime":"2024-01-01T00:00:00Z","ctime":"2024-01-01T00:00:00Z","uid":1,"gid":2,"inode":6,"device_id":1,"links":1,"linktarget":"../somewhere/é","extended_attributes":[{"name":"user.ümlaut","value":"aGVsbG8="},{"name":"user.none","value":null},{"name":"user.empty","value":""}],"content":null}`,
  `{"name":"d","type":"chardev","mode":69206454,"mtime":"2024-01-01T00:00:00Z","atime":"2024-01-01T00:00:00Z","ctime":"2024-01-01T00:00:00Z","uid":1,"gid":2,"inode":7,"device_id":1,"links":4294967297,"device":19927640276344,"content":null}`,
  `{"name":"e","type":"dev","mode":13631927,"mtime":null,"atime":"2024-01-01T00:00:00Z","ctime":"2024-01-01T00:00:00Z","uid":4294967295,"gid":2,"device":2050,"error":"odd","content":null}`,
  `{"name":"f","type":"file","extended_attributes":[{"name":"security.selinux","value":"eQ=="}],"content":[]}`,
  `{"name":"g","type":"fifo","content":null}`,
  `{"name":"ñ…😀","type":"socket","content":null,"extended_attributes":[]}`,
];
const treeOf = (nodes: readonly string[]) => Buffer.from(`{"nodes":[${nodes.join(",")}]}\n`);
const ORDINARY = treeOf(NODES);

describe.runIf(addon)("compactTree of the addon", () => {
  it("makes of a plain tree what the decoder in TypeScript makes of it", () => {
    expect(contents(native(ORDINARY)!)).toEqual(contents(CompactTree.from(decodeTree(ORDINARY))));
    expect(native(treeOf([]))!.length).toBe(0);
  });

  it.each([
    ["a name with an escape", treeOf([`{"name":"a\\\\n","type":"file"}`])],
    ["a name out of order", treeOf([`{"name":"b","type":"file"}`, `{"name":"a","type":"file"}`])],
    ["a name twice", treeOf([`{"name":"a","type":"file"}`, `{"name":"a","type":"file"}`])],
    ["no name", treeOf([`{"type":"file"}`])],
    ["a name with a slash", treeOf([`{"name":"a/b","type":"file"}`])],
    [".", treeOf([`{"name":".","type":"dir"}`])],
    ["..", treeOf([`{"name":"..","type":"dir"}`])],
    ["an unknown type", treeOf([`{"name":"a","type":"door"}`])],
    ["no type", treeOf([`{"name":"a"}`])],
    ["an unknown field", treeOf([`{"name":"a","type":"file","colour":1}`])],
    ["a field twice", treeOf([`{"name":"a","type":"file","uid":1,"uid":2}`])],
    ["a negative number", treeOf([`{"name":"a","type":"file","uid":-1}`])],
    ["a fraction", treeOf([`{"name":"a","type":"file","uid":1.5}`])],
    ["a leading zero", treeOf([`{"name":"a","type":"file","uid":01}`])],
    ["an owner beyond 32 bits", treeOf([`{"name":"a","type":"file","uid":4294967296}`])],
    ["a size beyond 2^53", treeOf([`{"name":"a","type":"file","size":9007199254740992}`])],
    ["an inode beyond 64 bits", treeOf([`{"name":"a","type":"file","inode":18446744073709551616}`])],
    ["30 February", treeOf([`{"name":"a","type":"file","mtime":"2024-02-30T00:00:00Z"}`])],
    ["an ID in capitals", treeOf([`{"name":"a","type":"file","content":["${"AB".repeat(32)}"]}`])],
    ["text behind the tree", Buffer.from(`{"nodes":[]}\n{}`)],
    ["no nodes", Buffer.from("{}")],
    ["a name that is no UTF-8", Buffer.from(`{"nodes":[{"name":"\xff","type":"file"}]}`, "latin1")],
    ["nothing", Buffer.alloc(0)],
  ])("leaves a tree with %s to others", (_what, json) => {
    expect(native(json)).toBeUndefined();
  });

  it("refuses what is no bytes", () => {
    const wrong: unknown[] = [undefined, null, "{}", 1, new ArrayBuffer(8), new Float64Array(2)];
    for (const value of wrong) expect(() => addon!.compactTree(value as Uint8Array)).toThrow(TypeError);
  });

  it.each([1, 3, 4, 8, 9])("makes the same of it in parts of %i nodes", (limit) => {
    const whole = decodeTree(ORDINARY);
    let from = 0;
    const found: object[] = [];
    while (from < ORDINARY.length) {
      const memory = addon!.compactNodes(ORDINARY, from, limit)!;
      const tree = new CompactTree(memory);
      const starts = new Uint32Array(memory, memory.byteLength - 4 * (tree.length + 1));
      const decoder = new TreeDecoder(ORDINARY);
      for (let i = 0; i < tree.length; i++) {
        const number = found.length + i;
        expect(decoder.nodeAt(starts[i]!, number)).toEqual(whole[number]);
      }
      for (const one of contents(tree)) found.push({ ...one, subdirectories: 1 });
      from = starts[tree.length]!;
    }
    expect(found).toEqual(contents(CompactTree.from(whole)));
    const empty = addon!.compactNodes(treeOf([]), 0, limit)!;
    expect(new Uint32Array(empty, empty.byteLength - 4)[0]).toBe(treeOf([]).length);
  });

  it("takes a part from where one ended only", () => {
    const wrong: readonly unknown[] = [-1, 1.5, undefined, ORDINARY.length + 1, 2 ** 32];
    for (const from of wrong) expect(() => addon!.compactNodes(ORDINARY, from as number, 4)).toThrow();
    for (const from of [1, 9, 10, 11, ORDINARY.length - 1, ORDINARY.length])
      expect(addon!.compactNodes(ORDINARY, from, 4)).toBeUndefined();
  });

  it("gives up on every tree that is cut short", () => {
    for (let length = 0; length < ORDINARY.length - 1; length++)
      expect(native(Buffer.from(ORDINARY.subarray(0, length)))).toBeUndefined();
  });

  it("never takes a changed tree for something else than the decoder in TypeScript does", () => {
    const random = randomNumbers(4711);
    let taken = 0;
    for (let round = 0; round < 60_000; round++) {
      const json = Buffer.from(ORDINARY);
      for (let i = random(3); i >= 0; i--) {
        const at = random(json.length);
        if (random(2) === 0) json[at] = random(256);
        else json[at] = json[random(json.length)]!;
      }
      const tree = native(json);
      if (!tree) continue;
      taken++;
      expect(contents(tree)).toEqual(contents(CompactTree.from(decodeTree(json))));
    }
    expect(taken).toBeGreaterThan(1_000);
  });
});
