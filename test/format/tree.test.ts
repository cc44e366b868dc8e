import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatId, IdList, idFromBytes } from "../../src/bytes/id.js";
import { textKeepingBytes } from "../../src/bytes/utf8.js";
import { FormatError } from "../../src/errors.js";
import type { TreeNode } from "../../src/format/node.js";
import { ZERO_TIME } from "../../src/format/timestamp.js";
import { decodeTree, encodeTree, TreeEncoder } from "../../src/format/tree.js";
import { BARE_NODE, TREE_OLD, TREE_RESTIC, TREE_RUSTIC } from "../vectors/format-trees.js";

const decode = (json: string) => decodeTree(Buffer.from(json));
const treeOf = (...nodes: string[]) => `{"nodes":[${nodes.join(",")}]}\n`;
const bareNode = decode(treeOf(BARE_NODE))[0]!;

const uint32 = fc.nat(0xffff_ffff);
const uint64 = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const text = fc.oneof(fc.constant(""), fc.string({ unit: "grapheme" }));
const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => idFromBytes(bytes));
const time = fc.record({
  seconds: fc.integer({ min: -62_000_000_000, max: 253_000_000_000 }),
  nanoseconds: fc.nat(999_999_999),
  zoneMinutes: fc.integer({ min: -720, max: 840 }),
});
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1 }),
  fc.string({ minLength: 1 }).map((value) => Buffer.from(value)),
);
const anyNode: fc.Arbitrary<TreeNode> = fc.record({
  name: bytes.map((value) => Buffer.from(value)),
  type: fc.constantFrom("file", "dir", "symlink", "dev", "chardev", "fifo", "socket", "irregular"),
  mode: uint32,
  mtime: time,
  atime: time,
  ctime: time,
  uid: uint32,
  gid: uint32,
  user: text,
  group: text,
  inode: uint64,
  deviceId: uint64,
  size: fc.maxSafeNat(),
  links: fc.nat(),
  linkTarget: fc.option(
    bytes.map((value) => Buffer.from(value)),
    { nil: undefined },
  ),
  extendedAttributes: fc.array(
    fc.record({ name: text, value: fc.option(bytes.map((value) => Buffer.from(value))) }),
    {
      maxLength: 3,
    },
  ),
  genericAttributes: fc.option(
    fc.dictionary(text, fc.jsonValue(), { minKeys: 1, noNullPrototype: true }).map(throughJson),
    {
      nil: undefined,
    },
  ),
  device: uint64,
  content: fc.option(
    fc.array(id, { maxLength: 5 }).map((ids) => new IdList(Uint8Array.from(Buffer.concat(ids)))),
  ),
  subtree: fc.option(id, { nil: undefined }),
  error: text,
});

/** JSON knows no -0. */
function throughJson(value: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}

describe("decodeTree", () => {
  it("undoes encodeTree for nodes of any kind", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyNode, { maxLength: 5, selector: ({ name }) => name.toString("hex") }),
        (nodes) => {
          const sorted = nodes.toSorted((a, b) => Buffer.compare(a.name, b.name));
          const blob = encodeTree(sorted);
          const decoded = decodeTree(blob);
          expect(decoded).toEqual(sorted);
          expect(encodeTree(decoded)).toEqual(blob);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("reads restic's fields", () => {
    const [file, , link, device] = decode(TREE_RESTIC);
    expect(file).toMatchObject({
      type: "file",
      mode: 420,
      user: "root",
      inode: 18446744073709551615n,
      size: 13,
      links: 2,
    });
    expect(file!.extendedAttributes).toEqual([
      { name: "user.a<b", value: Buffer.from("x") },
      { name: "user.n", value: null },
    ]);
    expect(file!.content).toHaveLength(2);
    expect(formatId(file!.content!.at(1))).toBe("0123456789abcdef".repeat(4));
    expect(link!.linkTarget).toEqual(Buffer.from("bad\xfftarget", "latin1"));
    expect(device!.device).toBe(1281n);
    expect(device!.genericAttributes).toEqual({
      "windows.creation_time": "AAA=",
      "windows.file_attributes": 32,
    });
  });

  it("fills in what rustic leaves out", () => {
    const [dir, file] = decode(TREE_RUSTIC);
    expect(dir).toMatchObject({ type: "dir", mode: 493, uid: 0, gid: 0, atime: ZERO_TIME });
    expect(dir!.mtime).toMatchObject({ nanoseconds: 70_000_000 });
    expect(file).toMatchObject({ mode: 0, mtime: ZERO_TIME, content: IdList.EMPTY, linkTarget: undefined });
  });

  it("reads trees of old restic, unknown fields and all", () => {
    expect(decode(TREE_OLD).map(({ name, type }) => [name.toString(), type])).toEqual([
      ["", "irregular"],
      ["a/b", "file"],
      ["..", "dir"],
    ]);
  });

  it("keeps numbers of 64 bits exact, and refuses larger ones", () => {
    const with64 = (value: string) =>
      decode(treeOf(BARE_NODE.replace('"uid"', `"inode":${value},"device_id":${value},"uid"`)));
    expect(with64("9007199254740993")[0]).toMatchObject({
      inode: 9007199254740993n,
      deviceId: 9007199254740993n,
    });
    expect(() => with64("18446744073709551616")).toThrow(FormatError);
  });

  it("takes U+FFFD in a link target for what it is, unless the raw target says more", () => {
    const target = (members: string) =>
      decode(treeOf(BARE_NODE.replace('"uid"', `${members},"uid"`)))[0]!.linkTarget;
    expect(target('"linktarget":"a\\ufffdb"')).toEqual(Buffer.from("a\ufffdb"));
    expect(target('"linktarget_raw":"Yf9i","linktarget":"a\\ufffdb"')).toEqual(Buffer.from("61ff62", "hex"));
  });

  it.each([
    ["", "Cannot decode tree: want an object at offset 0, have the end"],
    ["{}", 'want "nodes" before this'],
    ["[]", "want an object"],
    ['{"nodes":{}}', "Cannot decode tree: want an array at offset 9"],
    ['{"nodes":[1]}', "Cannot decode node 0 of tree: want an object"],
    [treeOf(BARE_NODE.replace('"b"', "7")), "Cannot decode node 0 of tree: want a string at offset 18"],
    [treeOf(BARE_NODE.replace('"b"', '"\\\\q"')), 'Cannot decode node 0 of tree: Cannot unquote name "\\q"'],
    [
      treeOf(BARE_NODE, BARE_NODE.replace('"uid":0', '"uid":"0"')),
      'Cannot decode node 1 "b" of tree: want a whole number',
    ],
    [treeOf(BARE_NODE.replace('"uid":0', '"uid":-1')), "want a whole number"],
    [treeOf(BARE_NODE.replace('"uid":0', '"uid":4294967296')), "want a whole number from 0 to 4294967295"],
    [treeOf(BARE_NODE.replace("1970-01-01", "1970-02-30")), "want a time in RFC 3339"],
    [treeOf(BARE_NODE.replace('"content":null', '"content":"x"')), "want an array"],
    [treeOf(BARE_NODE.replace('"content":null', '"content":["x"]')), "want an ID of 64 hex digits"],
    [treeOf(BARE_NODE.replace('"content":null', '"subtree":"x"')), "want an ID of 64 hex digits"],
    [treeOf(BARE_NODE.replace('"content":null', '"linktarget_raw":"x"')), "want base64"],
    [treeOf(BARE_NODE.replace('"content":null', '"generic_attributes":[]')), "want an object"],
    [treeOf(BARE_NODE.replace('"content":null', '"size":18446744073709551616')), "want a whole number"],
    [`${treeOf(BARE_NODE)}{}`, "want the end"],
  ])("refuses %s", (json, reason) => {
    expect(() => decode(json)).toThrow(FormatError);
    expect(() => decode(json)).toThrow(reason);
  });

  it("takes a size and a count of links that no number holds for the largest that one does", () => {
    const json = treeOf(
      BARE_NODE.replace('"content":null', '"size":9007199254740992,"links":18446744073709551615'),
      BARE_NODE.replace('"b"', '"c"').replace('"content":null', '"size":9007199254740991'),
    );
    const [huge, largest] = decode(json);
    expect(huge).toMatchObject({ size: Number.MAX_SAFE_INTEGER, links: Number.MAX_SAFE_INTEGER });
    expect(largest).toMatchObject({ size: Number.MAX_SAFE_INTEGER });
  });

  it("refuses every truncation", () => {
    const whole = TREE_RESTIC.trimEnd();
    for (let length = 0; length < whole.length; length++)
      expect(() => decode(whole.slice(0, length))).toThrow(FormatError);
  });

  it("does not keep the blob in memory for a name", () => {
    const blob = Buffer.from(TREE_RESTIC);
    const [node] = decodeTree(blob);
    blob.fill(0);
    expect(node!.name.toString()).toBe("a<>&");
  });
});

describe("encodeTree", () => {
  it("writes what restic wrote, byte for byte", () => {
    expect(encodeTree(decode(TREE_RESTIC)).toString()).toBe(TREE_RESTIC);
  });

  it("writes an empty directory", () => {
    expect(encodeTree([]).toString()).toBe('{"nodes":[]}\n');
    expect(decode('{"nodes":[]}\n')).toEqual([]);
    expect(decode('{"nodes":null}')).toEqual([]);
  });

  it("sorts by raw bytes, and refuses all other orders", () => {
    const named = (...names: string[]) =>
      names.map((name) => ({ ...bareNode, name: Buffer.from(name, "latin1") }));
    expect(() => encodeTree(named("Z", "a", "a\0", "aa", "b", "\x7f", "\x80", "\xff"))).not.toThrow();
    for (const names of [["b", "a"], ["a", "a"], ["\xff", "a"], [""]])
      expect(() => encodeTree(named(...names))).toThrow(FormatError);
    expect(() => encodeTree(named("b", "a"))).toThrow('Cannot encode tree: want a name behind "b", have "a"');
  });

  it("writes bytes that are no UTF-8 as Go does", () => {
    const node = {
      ...bareNode,
      linkTarget: Buffer.from("61ffefbfbd", "hex"),
      extendedAttributes: [{ name: textKeepingBytes(Buffer.from("75ff", "hex")), value: Buffer.alloc(0) }],
    };
    const json = encodeTree([node]).toString();
    expect(json).toContain('"linktarget":"a\\ufffd\ufffd","linktarget_raw":"Yf/vv70="');
    expect(json).toContain('"extended_attributes":[{"name":"u\\ufffd","value":""}]');
  });
});

describe("TreeEncoder", () => {
  it("makes the same blob node by node, and knows its length", () => {
    const encoder = new TreeEncoder();
    for (const node of decode(TREE_RESTIC)) encoder.add(node);
    expect(encoder.length).toBe(Buffer.byteLength(TREE_RESTIC) - "]}\n".length);
    expect(encoder.finish().toString()).toBe(TREE_RESTIC);
  });
});
