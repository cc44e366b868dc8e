/**
 * Tar in the PAX form (POSIX.1-2001): for each entry an extended header of records, then a ustar header of 512 bytes,
 * then the content, filled up to whole blocks.
 *
 *     extended header: "x" header, then records "LENGTH KEY=VALUE\n", LENGTH counting itself
 *     ustar header:    name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link name 100,
 *                      "ustar\0" "00", user 32, group 32, device 8+8, prefix 155, 12 zeros
 *
 * Names are written as the bytes that they are. Extended attributes are records `SCHILY.xattr.NAME`, and ACLs
 * `SCHILY.acl.access` and `.default` as text, as star began it and GNU tar, bsdtar and restic read and write it.
 */

import { posixModeFromNode } from "../format/file-mode.js";
import type { ExtendedAttribute, TreeNode } from "../format/node.js";
import type { Timestamp } from "../format/timestamp.js";
import type { ArchiveEntry, ArchiveWriter, Sink, Written } from "./archive-writer.js";
import { formatPosixAcl } from "./posix-acl.js";

const BLOCK = 512;
const NAME_LENGTH = 100;
const OWNER_LENGTH = 32;
/** Of a header, without the prefix, which is nothing but zeros here. */
const USTAR_LENGTH = 345;
const SPACE = 0x20;
const ZERO = 0x30;
const NEWLINE = 0x0a;
/** Seven octal digits and eleven: what does not fit has a record. */
const MAX_OWNER_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;
const PERMISSION_BITS = 0o7777;

const TYPE_FLAGS: Readonly<Partial<Record<TreeNode["type"], string>>> = { file: "0", symlink: "2", dir: "5" };

export class TarWriter implements ArchiveWriter {
  readonly #sink: Sink;
  #padding = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  begin(entry: ArchiveEntry): Written {
    this.#padding = paddingOf(entry.size);
    return this.#sink(tarHeaders(entry));
  }

  content(bytes: Uint8Array): Written {
    return this.#sink(bytes);
  }

  end(): Written {
    return this.#padding > 0 ? this.#sink(ZEROS.subarray(0, this.#padding)) : undefined;
  }

  finish(): Written {
    return this.#sink(ZEROS);
  }
}

/** The headers of an entry: records where there is need, and the ustar header. */
export function tarHeaders({ path, node, size }: ArchiveEntry): Buffer {
  const name = node.type === "dir" ? Buffer.concat([path, SLASH]) : path;
  const target = node.type === "symlink" ? (node.linkTarget ?? NO_BYTES) : NO_BYTES;
  const typeFlag = TYPE_FLAGS[node.type] ?? "0";
  const records = recordsOf(name, target, node, size);
  let length = 0;
  for (const one of records) length += one.length;
  const extendedLength = length === 0 ? 0 : BLOCK + length + paddingOf(length);
  const headers = Buffer.alloc(extendedLength + BLOCK);
  if (length > 0) {
    const own = Buffer.concat([EXTENDED_NAME, path.subarray(path.lastIndexOf(0x2f) + 1)]);
    writeUstarHeader(headers, 0, { name: own, target: NO_BYTES, size: length, node, typeFlag: "x" });
    let at = BLOCK;
    for (const one of records) at += one.copy(headers, at);
  }
  writeUstarHeader(headers, extendedLength, { name, target, size, node, typeFlag });
  return headers;
}

/** Zeros behind so many bytes, up to whole blocks. */
function paddingOf(length: number): number {
  return (BLOCK - (length % BLOCK)) % BLOCK;
}

function recordsOf(name: Buffer, target: Buffer, node: TreeNode, size: number): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: string | Uint8Array) =>
    records.push(record(key, Buffer.from(value as string)));
  if (name.length > NAME_LENGTH || !isAscii(name)) add("path", name);
  if (target.length > NAME_LENGTH || !isAscii(target)) add("linkpath", target);
  if (size > MAX_SIZE) add("size", String(size));
  if (node.uid > MAX_OWNER_ID) add("uid", String(node.uid));
  if (node.gid > MAX_OWNER_ID) add("gid", String(node.gid));
  if (!isPlainOwner(node.user)) add("uname", node.user);
  if (!isPlainOwner(node.group)) add("gname", node.group);
  const { seconds, nanoseconds } = node.mtime;
  if (nanoseconds !== 0 || seconds < 0 || seconds > MAX_SIZE) add("mtime", formatTime(node.mtime));
  for (const attribute of node.extendedAttributes) records.push(...attributeRecord(attribute));
  return records;
}

const ACLS: Readonly<Record<string, string>> = {
  "system.posix_acl_access": "SCHILY.acl.access",
  "system.posix_acl_default": "SCHILY.acl.default",
};

function attributeRecord({ name, value }: ExtendedAttribute): Buffer[] {
  const bytes = Buffer.from(value ?? NO_BYTES);
  const acl = ACLS[name];
  const text = acl && formatPosixAcl(bytes);
  if (acl && text !== undefined) return [record(acl, Buffer.from(text))];
  // A key ends at the first "=".
  return name.includes("=") || name.includes("\0") ? [] : [record(`SCHILY.xattr.${name}`, bytes)];
}

/** "LENGTH KEY=VALUE\n" */
export function record(key: string, value: Buffer): Buffer {
  const before = ` ${key}=`;
  const rest = Buffer.byteLength(before) + value.length + 1;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  const bytes = Buffer.allocUnsafe(length);
  const start = bytes.write(String(length) + before);
  value.copy(bytes, start);
  bytes[length - 1] = NEWLINE;
  return bytes;
}

/** "1700000000.123456789": seconds, before 1970 with a sign, and a fraction where there is one. */
function formatTime({ seconds, nanoseconds }: Timestamp): string {
  if (nanoseconds === 0) return String(seconds);
  const isBefore = seconds < 0;
  const whole = isBefore ? -(seconds + 1) : seconds;
  const fraction = String(isBefore ? 1_000_000_000 - nanoseconds : nanoseconds).padStart(9, "0");
  return `${isBefore ? "-" : ""}${whole}.${fraction.replace(/0+$/, "")}`;
}

interface UstarFields {
  readonly name: Buffer;
  readonly target: Buffer;
  readonly size: number;
  readonly node: TreeNode;
  readonly typeFlag: string;
}

/** @param out zeros from `at` on */
function writeUstarHeader(out: Buffer, at: number, fields: UstarFields): void {
  const { name, target, size, node, typeFlag } = fields;
  name.copy(out, at, 0, NAME_LENGTH);
  writeOctal(out, at + 100, 7, posixModeFromNode(node) & PERMISSION_BITS);
  writeOctal(out, at + 108, 7, node.uid);
  writeOctal(out, at + 116, 7, node.gid);
  writeOctal(out, at + 124, 11, size);
  writeOctal(out, at + 136, 11, node.mtime.seconds);
  out.fill(SPACE, at + 148, at + 156);
  out.write(typeFlag, at + 156, "latin1");
  target.copy(out, at + 157, 0, NAME_LENGTH);
  out.set(MAGIC, at + 257);
  out.write(node.user, at + 265, OWNER_LENGTH);
  out.write(node.group, at + 297, OWNER_LENGTH);
  writeOctal(out, at + 329, 7, 0);
  writeOctal(out, at + 337, 7, 0);
  let sum = 0;
  for (let i = at; i < at + USTAR_LENGTH; i++) sum += out[i]!;
  writeOctal(out, at + 148, 6, sum);
  out[at + 154] = 0;
}

/** 0 for what does not fit. */
function writeOctal(out: Buffer, at: number, digits: number, value: number): void {
  let rest = value >= 0 && value < 8 ** digits ? value : 0;
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = ZERO + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

/** Whether the name of an owner can stand in the header as it is. */
function isPlainOwner(name: string): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) >= 0x80) return false;
  return name.length <= OWNER_LENGTH;
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

const NO_BYTES = Buffer.alloc(0);
const MAGIC = Buffer.from("ustar\0" + "00");
/** What fills up a block, and the two blocks at the end. */
const ZEROS = Buffer.alloc(2 * BLOCK);
const EXTENDED_NAME = Buffer.from("PaxHeaders.0/");
const SLASH = Buffer.from("/");
