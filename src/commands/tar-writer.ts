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
import type { ArchiveEntry, ArchiveWriter, Sink } from "./archive-writer.js";
import { formatPosixAcl } from "./posix-acl.js";

const BLOCK = 512;
const NAME_LENGTH = 100;
const OWNER_LENGTH = 32;
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

  async begin(entry: ArchiveEntry): Promise<void> {
    this.#padding = (BLOCK - (entry.size % BLOCK)) % BLOCK;
    await this.#sink(tarHeaders(entry));
  }

  async content(bytes: Uint8Array): Promise<void> {
    await this.#sink(bytes);
  }

  async end(): Promise<void> {
    if (this.#padding > 0) await this.#sink(Buffer.alloc(this.#padding));
  }

  async finish(): Promise<void> {
    await this.#sink(Buffer.alloc(2 * BLOCK));
  }
}

/** The headers of an entry: records where there is need, and the ustar header. */
export function tarHeaders({ path, node, size }: ArchiveEntry): Buffer {
  const name = node.type === "dir" ? Buffer.concat([path, SLASH]) : path;
  const target = node.type === "symlink" ? (node.linkTarget ?? NO_BYTES) : NO_BYTES;
  const records = Buffer.concat(recordsOf(name, target, node, size));
  const header = ustarHeader({
    name,
    target,
    size,
    node,
    typeFlag: TYPE_FLAGS[node.type] ?? "0",
  });
  if (records.length === 0) return header;
  const extended = ustarHeader({
    name: Buffer.concat([Buffer.from("PaxHeaders.0/"), path.subarray(path.lastIndexOf(0x2f) + 1)]),
    target: NO_BYTES,
    size: records.length,
    node,
    typeFlag: "x",
  });
  return Buffer.concat([extended, records, Buffer.alloc((BLOCK - (records.length % BLOCK)) % BLOCK), header]);
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
  const [user, group] = [Buffer.from(node.user), Buffer.from(node.group)];
  if (user.length > OWNER_LENGTH || !isAscii(user)) add("uname", user);
  if (group.length > OWNER_LENGTH || !isAscii(group)) add("gname", group);
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
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
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

function ustarHeader({ name, target, size, node, typeFlag }: UstarFields): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, digits: number) => {
    const fits = value >= 0 && value < 8 ** digits ? value : 0;
    header.write(fits.toString(8).padStart(digits, "0"), offset, "latin1");
  };
  name.copy(header, 0, 0, NAME_LENGTH);
  octal(posixModeFromNode(node) & PERMISSION_BITS, 100, 7);
  octal(node.uid, 108, 7);
  octal(node.gid, 116, 7);
  octal(size, 124, 11);
  octal(node.mtime.seconds, 136, 11);
  header.write("        ", 148, "latin1");
  header.write(typeFlag, 156, "latin1");
  target.copy(header, 157, 0, NAME_LENGTH);
  header.write("ustar\0" + "00", 257, "latin1");
  Buffer.from(node.user).copy(header, 265, 0, OWNER_LENGTH);
  Buffer.from(node.group).copy(header, 297, 0, OWNER_LENGTH);
  octal(0, 329, 7);
  octal(0, 337, 7);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

const NO_BYTES = Buffer.alloc(0);
const SLASH = Buffer.from("/");
