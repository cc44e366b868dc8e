/**
 * Tree blobs: the nodes of one directory, as JSON.
 *
 *     {"nodes":[{"name":"a","type":"file", …,"content":["…"]},{"name":"b","type":"dir", …,"content":null,"subtree":"…"}]}⏎
 *
 * The ID of a tree is the hash of these very bytes, so what is encoded here equals restic's output byte for byte: the
 * order of the fields, which of them are left out, how names are quoted, the newline at the end. Two programs that
 * back up the same directory then share every tree. Nobody should decode and encode a tree only to copy it: what old
 * versions and other programs wrote need not come out the same.
 */

import { ID_LENGTH, type IdList } from "../bytes/id.js";
import { TextWriter } from "../bytes/text-writer.js";
import { bytesOfText, isUtf8 } from "../bytes/utf8.js";
import { FormatError } from "../errors.js";
import { goJsonBytes, goJsonObject, goJsonString } from "./go-json.js";
import { quoteName } from "./name-quoting.js";
import type { ExtendedAttribute, TreeNode } from "./node.js";
import { MAX_TIMESTAMP_LENGTH, type Timestamp, writeTimestamp } from "./timestamp.js";
import { TreeDecoder } from "./tree-decoder.js";

/**
 * Decodes a tree blob. Unknown fields are left out; what is missing is 0, empty or Go's zero time. Names are not judged:
 * old trees hold some with slashes (see `isSafeName`).
 *
 * @throws {FormatError} naming the node, what was wanted and what is there
 */
export function decodeTree(blob: Uint8Array): TreeNode[] {
  return new TreeDecoder(blob).decode();
}

/**
 * Encodes a tree blob.
 *
 * @throws {FormatError} unless the names are strictly increasing by their raw bytes, the empty name excluded
 */
export function encodeTree(nodes: readonly TreeNode[]): Buffer {
  const encoder = new TreeEncoder();
  for (const node of nodes) encoder.add(node);
  return encoder.finish();
}

/** Encodes a tree blob node by node. */
export class TreeEncoder {
  readonly #out = new TextWriter();
  #last: Buffer = NO_BYTES;
  // Most nodes of a directory belong to the same user and group.
  #user: EncodedText = { text: "", json: NO_BYTES };
  #group: EncodedText = { text: "", json: NO_BYTES };

  constructor() {
    this.#out.ascii('{"nodes":[');
  }

  /** Length in bytes of what was added so far. */
  get length(): number {
    return this.#out.length;
  }

  /** @throws {FormatError} unless the name comes behind the last one by its raw bytes */
  add(node: TreeNode): void {
    if (Buffer.compare(this.#last, node.name) >= 0) {
      throw new FormatError(
        `Cannot encode tree: want a name behind "${quoteName(this.#last)}", have "${quoteName(node.name)}"`,
      );
    }
    if (this.#last.length > 0) this.#out.ascii(",");
    this.#node(node);
    this.#last = node.name;
  }

  /** The blob. The encoder must not be used any more. */
  finish(): Buffer {
    this.#out.ascii("]}\n");
    return this.#out.finish();
  }

  #node(node: TreeNode): void {
    const out = this.#out;
    out.ascii('{"name":');
    this.#name(node.name);
    out.ascii(',"type":"');
    out.ascii(node.type);
    out.ascii('"');
    this.#count(',"mode":', node.mode);
    this.#time(',"mtime":"', node.mtime);
    this.#time(',"atime":"', node.atime);
    this.#time(',"ctime":"', node.ctime);
    out.ascii(',"uid":');
    out.uint(node.uid);
    out.ascii(',"gid":');
    out.uint(node.gid);
    this.#owners(node);
    this.#bigCount(',"inode":', node.inode);
    this.#bigCount(',"device_id":', node.deviceId);
    this.#count(',"size":', node.size);
    this.#count(',"links":', node.links);
    if (node.linkTarget !== undefined) this.#linkTarget(node.linkTarget);
    this.#attributes(node);
    this.#bigCount(',"device":', node.device);
    this.#content(node.content);
    if (node.subtree !== undefined) {
      out.ascii(',"subtree":"');
      out.hex(node.subtree);
      out.ascii('"');
    }
    if (node.error !== "") out.text(`,"error":${goJsonString(node.error)}`);
    out.ascii("}");
  }

  #name(name: Buffer): void {
    if (!isPlainName(name)) {
      this.#out.text(goJsonString(quoteName(name)));
      return;
    }
    this.#out.ascii('"');
    this.#out.bytes(name);
    this.#out.ascii('"');
  }

  #owners(node: TreeNode): void {
    if (node.user !== "") {
      if (node.user !== this.#user.text) this.#user = encodeText(',"user":', node.user);
      this.#out.bytes(this.#user.json);
    }
    if (node.group !== "") {
      if (node.group !== this.#group.text) this.#group = encodeText(',"group":', node.group);
      this.#out.bytes(this.#group.json);
    }
  }

  /** A number, left out when it is 0. */
  #count(name: string, value: number): void {
    if (value === 0) return;
    this.#out.ascii(name);
    this.#out.uint(value);
  }

  #bigCount(name: string, value: bigint): void {
    if (value === 0n) return;
    this.#out.ascii(name);
    if (value <= MAX_EXACT) this.#out.uint(Number(value));
    else this.#out.ascii(value.toString());
  }

  #time(name: string, time: Timestamp): void {
    this.#out.ascii(name);
    this.#out.with(MAX_TIMESTAMP_LENGTH, (into, offset) => writeTimestamp(time, into, offset));
    this.#out.ascii('"');
  }

  #linkTarget(target: Buffer): void {
    if (target.length === 0) return;
    this.#out.text(`,"linktarget":${goJsonBytes(target)}`);
    if (!isUtf8(target)) this.#out.ascii(`,"linktarget_raw":"${target.toString("base64")}"`);
  }

  #attributes(node: TreeNode): void {
    if (node.extendedAttributes.length > 0)
      this.#out.text(`,"extended_attributes":[${node.extendedAttributes.map(encodeAttribute).join(",")}]`);
    const members = Object.entries(node.genericAttributes ?? {});
    if (members.length === 0) return;
    members.sort(([a], [b]) => Buffer.compare(bytesOfText(a), bytesOfText(b)));
    this.#out.text(`,"generic_attributes":${goJsonObject(members)}`);
  }

  #content(content: IdList | null): void {
    const out = this.#out;
    if (content === null) {
      out.ascii(',"content":null');
      return;
    }
    out.ascii(',"content":[');
    for (let at = 0; at < content.bytes.length; at += ID_LENGTH) {
      out.ascii(at === 0 ? '"' : ',"');
      out.hex(content.bytes, at, at + ID_LENGTH);
      out.ascii('"');
    }
    out.ascii("]");
  }
}

interface EncodedText {
  readonly text: string;
  /** Name and value as they stand in the blob. */
  readonly json: Buffer;
}

function encodeText(name: string, text: string): EncodedText {
  return { text, json: Buffer.from(name + goJsonString(text), "utf8") };
}

function encodeAttribute(attribute: ExtendedAttribute): string {
  const value = attribute.value === null ? "null" : `"${Buffer.from(attribute.value).toString("base64")}"`;
  return `{"name":${goJsonString(attribute.name)},"value":${value}}`;
}

/** True if neither quoting nor JSON changes a byte of the name. */
function isPlainName(name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    if (PLAIN[name[i]!] === 0) return false;
  }
  return true;
}

const NO_BYTES = Buffer.alloc(0);
const MAX_EXACT = BigInt(Number.MAX_SAFE_INTEGER);
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && !'"\\<>&'.includes(String.fromCharCode(byte)) ? 1 : 0,
);
