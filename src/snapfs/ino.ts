/**
 * st_ino: 64 bits that follow from where an object is, so that they are the same from mount to mount and need no
 * table. Programs that recognise files by them (tar, rsync -H, NFS clients) can rely on it.
 *
 * - root: 1; an entry: hash of the directory's st_ino and the name;
 * - the root of a snapshot: hash of the directory's st_ino and the snapshot ID, so that a name that moves on to
 *   another snapshot is another object;
 * - a hard link: hash of the snapshot's st_ino and of what the links share: st_dev, st_ino and content of the original.
 *   The links of one snapshot agree. Other snapshots differ, and so do two "links" whose content was changed between
 *   the two readings of the backup: programs that keep only one of them would lose the other's bytes.
 *
 * With 64 well-mixed bits, a million objects have a chance of 1 in 37 million of any two being equal.
 */

import type { CompactTree } from "../cache/compact-tree.js";
import { S_IFDIR } from "../format/file-mode.js";
import type { SnapshotView } from "./place.js";
import type { VirtualEntry } from "./virtual-directory.js";

export const ROOT_INO = 1n;

/** Of an entry of a virtual directory. */
export function virtualIno(parentIno: bigint, name: Buffer, entry: VirtualEntry): bigint {
  return hashIno(parentIno, entry.kind === "snapshot" ? entry.snapshot.id : name);
}

/** Of an entry of a tree. */
export function treeIno(parentIno: bigint, view: SnapshotView, tree: CompactTree, position: number): bigint {
  const { inode, deviceId } = tree.origin(position);
  if (tree.links(position) < 2 || tree.typeBits(position) === S_IFDIR || inode === 0n)
    return hashIno(parentIno, tree.name(position));
  const origin = Buffer.alloc(24);
  origin.writeBigUInt64LE(inode, 0);
  origin.writeBigUInt64LE(deviceId, 8);
  origin.writeUInt32LE(tree.mode(position), 16);
  return hashIno(hashIno(view.ino, origin), tree.content(position).bytes);
}

/** What the hard links of a snapshot have in common, wherever the snapshot is seen. */
export function snapshotSeed(snapshotId: Uint8Array): bigint {
  return hashIno(0n, snapshotId);
}

/** Murmur-like mixing of two 32-bit lanes that feed each other; the constants are MurmurHash3's (x86, 128 bit). */
export function hashIno(seed: bigint, bytes: Uint8Array): bigint {
  let high = Number(seed >> 32n) | 0;
  let low = Number(seed & 0xffffffffn) | 0;
  for (let at = 0; at < bytes.length; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    high ^= Math.imul(rotate(Math.imul(word, 0x239b961b), 15), 0xab0e9789 | 0);
    high = (Math.imul(rotate(high, 19) + low, 5) + 0x561ccd1b) | 0;
    low ^= Math.imul(rotate(Math.imul(word, 0xab0e9789 | 0), 16), 0x38b34ae5);
    low = (Math.imul(rotate(low, 17) + high, 5) + 0x0bcaa747) | 0;
  }
  high = mix((high ^ bytes.length) + low);
  low = mix((low ^ bytes.length) + high);
  high = (high + low) | 0;
  const ino = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  // 0 means "no inode" and 1 is the root.
  return ino > ROOT_INO ? ino : ino + 2n;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b | 0);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35 | 0);
  return (mixed ^ (mixed >>> 16)) | 0;
}
