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

import { formatId, ID_LENGTH, IdList, idFromBytes } from "../bytes/id.js";
import { END, JsonReader, NameTable, UNKNOWN } from "../bytes/json-reader.js";
import { bytesOfText, isUtf8, textForPeople } from "../bytes/utf8.js";
import { FormatError, messageOf } from "../errors.js";
import { goJsonBytes, goJsonObject, goJsonString } from "./go-json.js";
import { decodeBase64 } from "./json-fields.js";
import { quoteName, unquoteName } from "./name-quoting.js";
import type { ExtendedAttribute, NodeType, TreeNode } from "./node.js";
import { formatTimestamp, parseTimestampBytes, type Timestamp, ZERO_TIME } from "./timestamp.js";

const TREE_NAMES = new NameTable(["nodes"]);
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
const ATTRIBUTE_NAMES = new NameTable(["name", "value"]);
/** In the order in which restic writes them, which is the order that is looked for. */
const NODE_NAMES = new NameTable([
  "name",
  "type",
  "mode",
  "mtime",
  "atime",
  "ctime",
  "uid",
  "gid",
  "user",
  "group",
  "inode",
  "device_id",
  "size",
  "links",
  "linktarget",
  "linktarget_raw",
  "extended_attributes",
  "generic_attributes",
  "device",
  "content",
  "subtree",
  "error",
]);

const MAX_UINT32 = 0xffff_ffff;

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
  #text = '{"nodes":[';
  #last: Buffer = Buffer.alloc(0);

  /** @throws {FormatError} unless the name comes behind the last one by its raw bytes */
  add(node: TreeNode): void {
    if (Buffer.compare(this.#last, node.name) >= 0) {
      throw new FormatError(
        `Cannot encode tree: want a name behind "${quoteName(this.#last)}", have "${quoteName(node.name)}"`,
      );
    }
    if (this.#last.length > 0) this.#text += ",";
    this.#text += encodeNode(node);
    this.#last = node.name;
  }

  /** Length of the blob if it were finished now, in UTF-16 units: near enough to its bytes to bound memory. */
  get length(): number {
    return this.#text.length;
  }

  /** The blob. The encoder must not be used any more. */
  finish(): Buffer {
    return Buffer.from(`${this.#text}]}\n`, "utf8");
  }
}

/** A node as restic's JSON has it, field by field in its order. */
export function encodeNode(node: TreeNode): string {
  let text = `{"name":${goJsonString(quoteName(node.name))},"type":"${node.type}"`;
  if (node.mode !== 0) text += `,"mode":${node.mode}`;
  text += `,"mtime":"${formatTimestamp(node.mtime)}"`;
  text += `,"atime":"${formatTimestamp(node.atime)}"`;
  text += `,"ctime":"${formatTimestamp(node.ctime)}"`;
  text += `,"uid":${node.uid},"gid":${node.gid}`;
  if (node.user !== "") text += `,"user":${goJsonString(node.user)}`;
  if (node.group !== "") text += `,"group":${goJsonString(node.group)}`;
  if (node.inode !== 0n) text += `,"inode":${node.inode}`;
  if (node.deviceId !== 0n) text += `,"device_id":${node.deviceId}`;
  if (node.size !== 0) text += `,"size":${node.size}`;
  if (node.links !== 0) text += `,"links":${node.links}`;
  if (node.linkTarget !== undefined) text += encodeLinkTarget(node.linkTarget);
  if (node.extendedAttributes.length > 0)
    text += `,"extended_attributes":[${node.extendedAttributes.map(encodeAttribute).join(",")}]`;
  if (node.genericAttributes !== undefined) text += encodeGenericAttributes(node.genericAttributes);
  if (node.device !== 0n) text += `,"device":${node.device}`;
  text += `,"content":${node.content === null ? "null" : encodeIds(node.content)}`;
  if (node.subtree !== undefined) text += `,"subtree":"${formatId(node.subtree)}"`;
  if (node.error !== "") text += `,"error":${goJsonString(node.error)}`;
  return `${text}}`;
}

function encodeLinkTarget(target: Buffer): string {
  if (target.length === 0) return "";
  const text = `,"linktarget":${goJsonBytes(target)}`;
  return isUtf8(target) ? text : `${text},"linktarget_raw":"${target.toString("base64")}"`;
}

function encodeAttribute(attribute: ExtendedAttribute): string {
  const value = attribute.value === null ? "null" : `"${Buffer.from(attribute.value).toString("base64")}"`;
  return `{"name":${goJsonString(attribute.name)},"value":${value}}`;
}

function encodeGenericAttributes(attributes: Readonly<Record<string, unknown>>): string {
  const members = Object.entries(attributes);
  if (members.length === 0) return "";
  members.sort(([a], [b]) => Buffer.compare(bytesOfText(a), bytesOfText(b)));
  return `,"generic_attributes":${goJsonObject(members)}`;
}

function encodeIds(ids: IdList): string {
  const hex = Buffer.from(ids.bytes.buffer, ids.bytes.byteOffset, ids.bytes.byteLength).toString("hex");
  const parts: string[] = [];
  for (let at = 0; at < hex.length; at += 2 * ID_LENGTH) parts.push(`"${hex.slice(at, at + 2 * ID_LENGTH)}"`);
  return `[${parts.join(",")}]`;
}

type Draft = { -readonly [Field in keyof TreeNode]: TreeNode[Field] };

const NO_BYTES = Buffer.alloc(0);
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = [];

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

class TreeDecoder {
  readonly #reader: JsonReader;
  readonly #nodes: TreeNode[] = [];
  #node: Draft | undefined;
  // Most nodes of a directory belong to the same user and lie on the same device.
  #user = "";
  #group = "";
  #deviceId = 0n;
  /** Content of the present node; grows as needed and is used again. */
  #ids = new Uint8Array(16 * ID_LENGTH);

  constructor(blob: Uint8Array) {
    this.#reader = new JsonReader(blob, () => this.#where());
  }

  decode(): TreeNode[] {
    const reader = this.#reader;
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
    reader.end();
    return this.#nodes;
  }

  #decodeNodes(): void {
    const reader = this.#reader;
    reader.beginArray();
    while (reader.nextItem()) {
      this.#node = emptyNode();
      this.#decodeNode(this.#node);
      this.#nodes.push(this.#node);
      this.#node = undefined;
    }
  }

  #decodeNode(node: Draft): void {
    const reader = this.#reader;
    reader.beginObject();
    for (let name = reader.nextMember(NODE_NAMES); name !== END; name = reader.nextMember(NODE_NAMES)) {
      if (name === UNKNOWN) reader.skip();
      else if (!reader.takeNull()) this.#decodeField(node, name);
    }
  }

  /** Reads the value of one field; the numbers are positions in `NODE_NAMES`. */
  #decodeField(node: Draft, field: number): void {
    const reader = this.#reader;
    switch (NODE_NAMES.names[field]) {
      case "name":
        node.name = this.#name();
        break;
      case "type":
        // restic has stored other texts for what it could not tell; the tree must stay readable all the same.
        node.type = NODE_TYPES[reader.oneOf(TYPE_NAMES)] ?? "irregular";
        break;
      case "mode":
        node.mode = reader.uint(MAX_UINT32);
        break;
      case "mtime":
        node.mtime = this.#time();
        break;
      case "atime":
        node.atime = this.#time();
        break;
      case "ctime":
        node.ctime = this.#time();
        break;
      case "uid":
        node.uid = reader.uint(MAX_UINT32);
        break;
      case "gid":
        node.gid = reader.uint(MAX_UINT32);
        break;
      case "user":
        node.user = this.#user = reader.text(this.#user);
        break;
      case "group":
        node.group = this.#group = reader.text(this.#group);
        break;
      case "inode":
        node.inode = reader.uint64();
        break;
      case "device_id":
        node.deviceId = this.#deviceId = reader.uint64(this.#deviceId);
        break;
      case "size":
        node.size = reader.uint(Number.MAX_SAFE_INTEGER);
        break;
      case "links":
        node.links = reader.uint(Number.MAX_SAFE_INTEGER);
        break;
      default:
        this.#decodeRareField(node, field);
    }
  }

  #decodeRareField(node: Draft, field: number): void {
    const reader = this.#reader;
    switch (NODE_NAMES.names[field]) {
      case "content":
        node.content = this.#content();
        break;
      case "subtree":
        node.subtree = idFromBytes(new Uint8Array(ID_LENGTH));
        reader.id(node.subtree, 0);
        break;
      case "linktarget":
        node.linkTarget ??= Buffer.from(reader.textBytes());
        break;
      case "linktarget_raw":
        node.linkTarget = this.#base64();
        break;
      case "extended_attributes":
        node.extendedAttributes = this.#attributes();
        break;
      case "generic_attributes":
        node.genericAttributes = this.#genericAttributes();
        break;
      case "device":
        node.device = reader.uint64();
        break;
      case "error":
        node.error = reader.text();
        break;
    }
  }

  #name(): Buffer {
    const text = this.#reader.textBytes();
    // A copy, or every name would keep the whole blob in memory.
    if (!text.includes(BACKSLASH)) return Buffer.from(text);
    try {
      return unquoteName(text.toString("utf8"));
    } catch (cause) {
      throw new FormatError(`Cannot decode ${this.#where()}: ${messageOf(cause)}`, { cause });
    }
  }

  #time(): Timestamp {
    const start = this.#reader.offset;
    const time = parseTimestampBytes(this.#reader.textBytes());
    if (time !== undefined) return time;
    this.#reader.offset = start;
    throw this.#reader.wrong("a time in RFC 3339");
  }

  #base64(): Buffer {
    const start = this.#reader.offset;
    const bytes = decodeBase64(this.#reader.text());
    if (bytes !== undefined) return bytes;
    this.#reader.offset = start;
    throw this.#reader.wrong("base64");
  }

  #content(): IdList {
    const reader = this.#reader;
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

  #attributes(): ExtendedAttribute[] {
    const reader = this.#reader;
    const attributes: ExtendedAttribute[] = [];
    reader.beginArray();
    while (reader.nextItem()) {
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
        else value = this.#base64();
      }
      attributes.push({ name, value });
    }
    return attributes;
  }

  #genericAttributes(): Record<string, unknown> {
    const start = this.#reader.offset;
    const value = this.#reader.value();
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
    this.#reader.offset = start;
    throw this.#reader.wrong("an object");
  }

  #where(): string {
    if (this.#node === undefined) return "tree";
    const name = this.#node.name.length > 0 ? ` "${textForPeople(this.#node.name)}"` : "";
    return `node ${this.#nodes.length}${name} of tree`;
  }
}

const BACKSLASH = 0x5c;
