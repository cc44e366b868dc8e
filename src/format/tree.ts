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

import { ID_LENGTH, type Id, IdList } from "../bytes/id.js";
import { END, JsonReader, NameTable, UNKNOWN } from "../bytes/json-reader.js";
import { TextWriter } from "../bytes/text-writer.js";
import { bytesOfText, isUtf8, textForPeople } from "../bytes/utf8.js";
import { FormatError, messageOf } from "../errors.js";
import { goJsonBytes, goJsonObject, goJsonString } from "./go-json.js";
import { decodeBase64 } from "./json-fields.js";
import { quoteName, unquoteName } from "./name-quoting.js";
import type { ExtendedAttribute, NodeType, TreeNode } from "./node.js";
import {
  MAX_TIMESTAMP_LENGTH,
  parseTimestampBytes,
  type Timestamp,
  writeTimestamp,
  ZERO_TIME,
} from "./timestamp.js";

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

type Draft = { -readonly [Field in keyof TreeNode]: TreeNode[Field] };

const BACKSLASH = 0x5c;
const NO_BYTES = Buffer.alloc(0);
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = [];
const MAX_EXACT = BigInt(Number.MAX_SAFE_INTEGER);
const MAX_UINT32 = 0xffff_ffff;
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && !'"\\<>&'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

const NODE_TYPES: readonly NodeType[] = [
  "file",
  "dir",
  "symlink",
  "dev",
  "chardev",
  "fifo",
  "socket",
  "irregular",
];
const TYPE_NAMES = new NameTable(NODE_TYPES);
const TREE_NAMES = new NameTable(["nodes"]);
const ATTRIBUTE_NAMES = new NameTable(["name", "value"]);

function emptyNode(): Draft {
  return {
    name: NO_BYTES,
    type: "irregular",
    mode: 0,
    mtime: ZERO_TIME,
    atime: ZERO_TIME,
    ctime: ZERO_TIME,
    uid: 0,
    gid: 0,
    user: "",
    group: "",
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 0,
    linkTarget: undefined,
    extendedAttributes: NO_ATTRIBUTES,
    genericAttributes: undefined,
    device: 0n,
    content: null,
    subtree: undefined,
    error: "",
  };
}

/**
 * How the value of each field is read, in the order in which restic writes the fields, which is where they are looked
 * for first. `likely` is the node before, most of whose owners, devices and times come again.
 */
const FIELDS: Readonly<Record<string, (decoder: TreeDecoder, node: Draft, likely: Draft) => void>> = {
  name: (decoder, node) => {
    node.name = decoder.name();
  },
  // restic has stored other texts for what it could not tell; the tree must stay readable all the same.
  type: ({ reader }, node) => {
    node.type = NODE_TYPES[reader.oneOf(TYPE_NAMES)] ?? "irregular";
  },
  mode: ({ reader }, node) => {
    node.mode = reader.uint(MAX_UINT32);
  },
  mtime: (decoder, node, likely) => {
    node.mtime = decoder.time(likely.mtime);
  },
  atime: (decoder, node) => {
    node.atime = decoder.time(node.mtime);
  },
  ctime: (decoder, node) => {
    node.ctime = decoder.time(node.mtime);
  },
  uid: ({ reader }, node) => {
    node.uid = reader.uint(MAX_UINT32);
  },
  gid: ({ reader }, node) => {
    node.gid = reader.uint(MAX_UINT32);
  },
  user: ({ reader }, node, likely) => {
    node.user = reader.text(likely.user);
  },
  group: ({ reader }, node, likely) => {
    node.group = reader.text(likely.group);
  },
  inode: ({ reader }, node) => {
    node.inode = reader.uint64();
  },
  device_id: ({ reader }, node, likely) => {
    node.deviceId = reader.uint64(likely.deviceId);
  },
  size: ({ reader }, node) => {
    node.size = reader.uint(Number.MAX_SAFE_INTEGER);
  },
  links: ({ reader }, node) => {
    node.links = reader.uint(Number.MAX_SAFE_INTEGER);
  },
  linktarget: ({ reader }, node) => {
    reader.takeString();
    node.linkTarget ??= Buffer.from(reader.takenBytes());
  },
  linktarget_raw: (decoder, node) => {
    node.linkTarget = decoder.base64();
  },
  extended_attributes: (decoder, node) => {
    node.extendedAttributes = decoder.attributes();
  },
  generic_attributes: (decoder, node) => {
    node.genericAttributes = decoder.object();
  },
  device: ({ reader }, node) => {
    node.device = reader.uint64();
  },
  content: (decoder, node) => {
    node.content = decoder.content();
  },
  subtree: ({ reader }, node) => {
    const id = new Uint8Array(ID_LENGTH);
    reader.id(id, 0);
    node.subtree = id as Id;
  },
  error: ({ reader }, node) => {
    node.error = reader.text();
  },
};
const FIELD_NAMES = new NameTable(Object.keys(FIELDS));
const FIELD_READERS = Object.values(FIELDS);

class TreeDecoder {
  readonly reader: JsonReader;
  readonly #nodes: TreeNode[] = [];
  /** The node that is being read. */
  #node: Draft | undefined;
  /** Content of the present node; grows as needed and is used again. */
  #ids = new Uint8Array(16 * ID_LENGTH);

  constructor(blob: Uint8Array) {
    this.reader = new JsonReader(blob, () => this.#where());
  }

  decode(): TreeNode[] {
    const { reader } = this;
    let found = false;
    reader.beginObject();
    for (let name = reader.nextMember(TREE_NAMES); name !== END; name = reader.nextMember(TREE_NAMES)) {
      if (name === UNKNOWN) {
        reader.skip();
        continue;
      }
      found = true;
      if (!reader.takeNull()) this.#decodeNodes();
    }
    if (!found) throw reader.wrong('"nodes" before this');
    reader.finish();
    return this.#nodes;
  }

  #decodeNodes(): void {
    const { reader } = this;
    let likely = emptyNode();
    reader.beginArray();
    while (reader.nextItem()) {
      const node = emptyNode();
      this.#node = node;
      reader.beginObject();
      for (let name = reader.nextMember(FIELD_NAMES); name !== END; name = reader.nextMember(FIELD_NAMES)) {
        if (name === UNKNOWN) reader.skip();
        else if (!reader.takeNull()) FIELD_READERS[name]!(this, node, likely);
      }
      this.#nodes.push(node);
      this.#node = undefined;
      likely = node;
    }
  }

  name(): Buffer {
    this.reader.takeString();
    const text = this.reader.takenBytes();
    // A copy, or every name would keep the whole blob in memory.
    if (!text.includes(BACKSLASH)) return Buffer.from(text);
    try {
      return unquoteName(text.toString("utf8"));
    } catch (cause) {
      throw new FormatError(`Cannot decode ${this.#where()}: ${messageOf(cause)}`, { cause });
    }
  }

  time(likely: Timestamp): Timestamp {
    const { reader } = this;
    const before = reader.offset;
    reader.takeString();
    const time = parseTimestampBytes(reader.bytes, reader.start, reader.end, likely);
    if (time !== undefined) return time;
    reader.offset = before;
    throw reader.wrong("a time in RFC 3339");
  }

  base64(): Buffer {
    const { reader } = this;
    const before = reader.offset;
    const bytes = decodeBase64(reader.text());
    if (bytes !== undefined) return bytes;
    reader.offset = before;
    throw reader.wrong("base64");
  }

  content(): IdList {
    const { reader } = this;
    let length = 0;
    reader.beginArray();
    while (reader.nextItem()) {
      if (length === this.#ids.length) {
        const larger = new Uint8Array(2 * length);
        larger.set(this.#ids);
        this.#ids = larger;
      }
      reader.id(this.#ids, length);
      length += ID_LENGTH;
    }
    return length === 0 ? IdList.EMPTY : new IdList(this.#ids.slice(0, length));
  }

  attributes(): ExtendedAttribute[] {
    const { reader } = this;
    const attributes: ExtendedAttribute[] = [];
    reader.beginArray();
    while (reader.nextItem()) attributes.push(this.#attribute());
    return attributes;
  }

  #attribute(): ExtendedAttribute {
    const { reader } = this;
    let name = "";
    let value: Uint8Array | null = null;
    reader.beginObject();
    for (
      let key = reader.nextMember(ATTRIBUTE_NAMES);
      key !== END;
      key = reader.nextMember(ATTRIBUTE_NAMES)
    ) {
      if (key === UNKNOWN) reader.skip();
      else if (reader.takeNull()) continue;
      else if (key === 0) name = reader.text();
      else value = this.base64();
    }
    return { name, value };
  }

  object(): Record<string, unknown> {
    const { reader } = this;
    const before = reader.offset;
    const value = reader.value();
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
    reader.offset = before;
    throw reader.wrong("an object");
  }

  #where(): string {
    if (this.#node === undefined) return "tree";
    const name = this.#node.name.length > 0 ? ` "${textForPeople(this.#node.name)}"` : "";
    return `node ${this.#nodes.length}${name} of tree`;
  }
}
