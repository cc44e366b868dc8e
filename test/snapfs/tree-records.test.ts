/**
 * The records of directories that the addon writes, held against those that are written entry by entry: the two ways
 * share nothing but the memory of the tree.
 */

import { describe, expect, it } from "vitest";
import { type Id, IdList } from "../../src/bytes/id.js";
import { CompactTree } from "../../src/cache/compact-tree.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import type { NodeType, TreeNode } from "../../src/format/node.js";
import { encodeDirectory } from "../../src/fuse/directory-reply.js";
import { type DirectoryListing, ROOT_NODE } from "../../src/fuse/filesystem.js";
import type { DirectoryStream } from "../../src/fuse/listing-cache.js";
import { ReplyBuffer } from "../../src/fuse/reply-buffer.js";
import { loadAddon } from "../../src/native/addon.js";
import { AttributeMaker, type OwnershipOptions } from "../../src/snapfs/attributes.js";
import { TreeListing } from "../../src/snapfs/listing.js";
import { NodeTable } from "../../src/snapfs/node-table.js";
import type { TreePlace } from "../../src/snapfs/place.js";
import { TreeEntries } from "../../src/snapfs/tree-entries.js";
import { MemoryLoader } from "../cache/memory-loader.js";
import { node } from "../repository/support.js";
import { randomNumbers } from "../support/random.js";

const addon = loadAddon();
const INO = 0x1234_5678_9abc_def0n;
const TYPES: readonly NodeType[] = ["file", "file", "file", "dir", "symlink", "chardev", "fifo", "socket"];
const SECONDS = [0, -1, -62135596800, 1_700_000_000, 4_294_967_296, 253402300799];

function idOf(below: (bound: number) => number): Id {
  return Uint8Array.from({ length: 32 }, () => below(256)) as Uint8Array as Id;
}

function randomNode(below: (bound: number) => number, position: number): TreeNode {
  const type = TYPES[below(TYPES.length)]!;
  const time = () => ({
    seconds: SECONDS[below(SECONDS.length)]!,
    nanoseconds: below(1_000_000_000),
    zoneMinutes: 0,
  });
  const bytes = Array.from({ length: below(60) }, () => 1 + below(255)).map((byte) =>
    byte === 0x2f ? 0x80 : byte,
  );
  const prefix = Buffer.from(position.toString().padStart(5, "0"));
  return node("", {
    name: Buffer.concat([prefix, Buffer.from(bytes)]),
    type,
    mode: below(0o1000) + [0, 2 ** 23, 2 ** 22, 2 ** 20][below(4)]!,
    mtime: time(),
    atime: time(),
    ctime: time(),
    uid: below(2) ? 0xffff_ffff : below(70_000),
    gid: below(70_000),
    inode: [0n, 5n, 0xffff_ffff_ffff_ffffn][below(3)]!,
    deviceId: BigInt(below(3)),
    size: below(2) ? below(10_000_000) : 2 ** 53 - 1,
    links: [0, 1, 2, 3, 4_294_967_295][below(5)]!,
    device: type === "chardev" ? BigInt(below(2 ** 31)) : 0n,
    linkTarget: type === "symlink" ? Buffer.alloc(below(100), "t") : undefined,
    content: type === "file" ? IdList.from(Array.from({ length: below(4) }, () => idOf(below))) : null,
    subtree: type === "dir" && below(5) > 0 ? idOf(below) : undefined,
  });
}

/** A directory, and the same without the way through the addon. */
function directoryOf(nodes: readonly TreeNode[], options: OwnershipOptions = {}) {
  const tree = CompactTree.from(nodes);
  const place: TreePlace = {
    kind: "tree",
    tree: undefined,
    view: { ino: 0xfedc_ba98_7654_3210n, time: { seconds: 1, nanoseconds: 2 } },
    isSnapshotRoot: false,
  };
  const table = new NodeTable(place, INO);
  // Half of the blobs are known.
  const sizeOf = (id: Id) => (id[0]! & 1 ? id[1]! * 4099 : undefined);
  const entries = new TreeEntries(
    table,
    new AttributeMaker(new TreeCache(new MemoryLoader()), sizeOf, options),
  );
  const listing = new TreeListing({ node: ROOT_NODE, place, tree }, entries);
  const oneByOne: DirectoryListing = {
    length: listing.length,
    name: (position) => listing.name(position),
    ino: (position) => listing.ino(position),
    typeBits: (position) => listing.typeBits(position),
    entry: (position) => listing.entry(position),
  };
  return { table, listing, oneByOne };
}

function encode(listing: DirectoryListing, position: number, size: number, plus: boolean) {
  const reply = new ReplyBuffer();
  reply.bytes.fill(0xaa);
  reply.begin();
  const problems: number[] = [];
  const stream: DirectoryStream = { node: ROOT_NODE, generation: 7, listing, ino: INO, parentIno: 1n };
  const written = encodeDirectory(reply, stream, {
    position,
    size,
    plus,
    onProblem: (at) => problems.push(at),
  });
  return { bytes: reply.bytes.toString("hex", 16, reply.length), problems, ...written };
}

describe.runIf(addon)("records that the addon writes", () => {
  it.each([
    ["as stored", {}],
    ["with owner and umask", { uid: 12, gid: 4_000_000_000, umask: 0o027 }],
    ["with everything root's", { ownerRoot: true }],
  ])("are those that are written entry by entry, %s", (_, options) => {
    const below = randomNumbers(11);
    for (let round = 0; round < 60; round++) {
      const nodes = Array.from({ length: below(120) }, (_, i) => randomNode(below, i));
      const { listing, oneByOne } = directoryOf(nodes, options);
      for (let tries = 0; tries < 6; tries++) {
        const position = below(nodes.length + 4);
        const size = [0, 100, 152, 4096, 32768, 131072][below(6)]!;
        for (const plus of [true, false])
          expect(encode(listing, position, size, plus)).toEqual(encode(oneByOne, position, size, plus));
      }
    }
  });

  it("go through a large directory as often as there is room, and name each entry once", () => {
    const below = randomNumbers(3);
    const nodes = Array.from({ length: 5000 }, (_, i) => randomNode(below, i));
    const { listing, oneByOne } = directoryOf(nodes);
    for (const plus of [true, false])
      expect(encode(listing, 0, 131072, plus)).toEqual(encode(oneByOne, 0, 131072, plus));
    expect(encode(listing, 0, 131072, true).handedOut.length).toBeGreaterThan(500);
    expect(encode(listing, 2, 131072, false)).toEqual(encode(oneByOne, 2, 131072, false));
  });

  it("leave out what is no file name, and tell of it", () => {
    const long = "n".repeat(255);
    const names = ["", ".", "..", "...", ".a", "a/b", "b\0c", "d", long, `${long}n`, "z"];
    const { listing, oneByOne } = directoryOf(names.map((name) => node(name)));
    for (const plus of [true, false]) {
      const { handedOut, problems, ...rest } = encode(listing, 0, 131072, plus);
      expect({ handedOut, problems, ...rest }).toEqual(encode(oneByOne, 0, 131072, plus));
      expect(problems.map((at) => names[at])).toEqual(["", ".", "..", "a/b", "b\0c", `${long}n`]);
      if (plus) expect(handedOut).toHaveLength(5);
    }
  });

  it("hand out what can be given back", () => {
    const below = randomNumbers(5);
    const { table, listing } = directoryOf(Array.from({ length: 100 }, (_, i) => randomNode(below, i)));
    const { handedOut } = encode(listing, 0, 131072, true);
    expect(table.size).toBe(101);
    for (const id of handedOut) table.forget(id, 1);
    expect(table.size).toBe(1);
  });

  it("are refused for what is no tree, and where there is no room", () => {
    const { memory } = CompactTree.from([node("a"), node("b")]);
    const inos = new BigUint64Array(2);
    const records = Buffer.alloc(64);
    const count = (tree: Uint8Array, position: number) =>
      addon!.directoryInos(tree, position, 1000, false, 1n, 1n, inos);
    expect(count(memory, 0)).toBe(2);
    expect(count(memory, 2)).toBe(0);
    expect(count(memory, 0xffff_ffff)).toBe(0);
    expect(() => count(memory.subarray(0, 7), 0)).toThrow(RangeError);
    expect(() => count(memory.subarray(0, 100), 0)).toThrow(RangeError);
    expect(() => count(Buffer.from(memory.buffer, 4), 0)).toThrow(RangeError);
    // Entries whose names point out of the memory.
    const far = Buffer.from(Uint8Array.from(memory).buffer);
    far.writeUInt32LE(0xffff_fff0, 8 + 48);
    expect(count(far, 0)).toBe(0);
    const write = (position: number, number: number, at = 0, facts?: Float64Array) =>
      addon!.directoryRecords(records, at, memory, position, number, 0, inos, facts);
    expect(write(0, 2)).toBe(64);
    expect(() => write(0, 2, 1)).toThrow(RangeError);
    expect(() => write(1, 2)).toThrow(RangeError);
    expect(() => write(0, 3)).toThrow(RangeError);
    expect(() => write(0, 1, 0, new Float64Array(7))).toThrow(RangeError);
    expect(() => write(0, 1, 0, new Uint8Array(64) as unknown as Float64Array)).toThrow(TypeError);
  });
});
