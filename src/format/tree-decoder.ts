/** The way from a tree blob back to its nodes; see `tree.ts` for what a tree looks like. */

import { ID_LENGTH, type Id, IdList } from "../bytes/id.js";
import { END, JsonReader } from "../bytes/json-reader.js";
import { NameTable, UNKNOWN } from "../bytes/name-table.js";
import { textForPeople } from "../bytes/utf8.js";
import { FormatError, messageOf } from "../errors.js";
import { decodeBase64 } from "./json-fields.js";
import { unquoteName } from "./name-quoting.js";
import { type ExtendedAttribute, emptyNode, type NodeDraft, type NodeType, type TreeNode } from "./node.js";
import { parseTimestampBytes, type Timestamp } from "./timestamp.js";

const BACKSLASH = 0x5c;
const MAX_UINT32 = 0xffff_ffff;

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

/**
 * How the value of each field is read, in the order in which restic writes the fields, which is where they are looked
 * for first. `likely` is the node before, most of whose owners, devices and times come again.
 */
const FIELDS: Readonly<Record<string, (decoder: TreeDecoder, node: NodeDraft, likely: NodeDraft) => void>> = {
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
  // A size or a count that no file can have is no reason to lose its directory: what a file holds, its blobs say.
  size: ({ reader }, node) => {
    node.size = reader.clampedUint64();
  },
  links: ({ reader }, node) => {
    node.links = reader.clampedUint64();
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

/** Decodes one tree blob, node by node. */
export class TreeDecoder {
  readonly reader: JsonReader;
  #state: "before" | "in nodes" | "behind" = "before";
  #found = false;
  /** Nodes that were handed out. */
  #count = 0;
  /** The node that is being read. */
  #node: NodeDraft | undefined;
  /** The node before it. */
  #likely = emptyNode();
  /** Content of the present node; grows as needed and is used again. */
  #ids = new Uint8Array(16 * ID_LENGTH);

  constructor(blob: Uint8Array) {
    this.reader = new JsonReader(blob, () => this.#where());
  }

  /** All nodes that `next` did not hand out. @throws {FormatError} see `next` */
  decode(): TreeNode[] {
    const nodes: TreeNode[] = [];
    for (let node = this.next(); node; node = this.next()) nodes.push(node);
    return nodes;
  }

  /**
   * The next node, `undefined` behind the last one. It keeps nothing of the blob.
   *
   * @throws {FormatError} naming the node, what was wanted and what is there; there is no way on behind it
   */
  next(): TreeNode | undefined {
    const { reader } = this;
    if (this.#state === "before") {
      reader.beginObject();
      this.#findNodes();
    }
    while (this.#state === "in nodes") {
      if (reader.nextItem()) return this.#decodeNode();
      this.#findNodes();
    }
    return undefined;
  }

  /**
   * One node by itself, whatever was read before. Not to be mixed with `next`.
   *
   * @param offset where its object begins in the blob
   * @param number how many nodes stand before it, for errors
   * @throws {FormatError} see `next`
   */
  nodeAt(offset: number, number: number): TreeNode {
    this.reader.offset = offset;
    this.#count = number;
    return this.#decodeNode();
  }

  /** Goes on to the next member that holds nodes, or to the end of the tree. */
  #findNodes(): void {
    const { reader } = this;
    for (let name = reader.nextMember(TREE_NAMES); name !== END; name = reader.nextMember(TREE_NAMES)) {
      if (name === UNKNOWN) {
        reader.skip();
        continue;
      }
      this.#found = true;
      if (reader.takeNull()) continue;
      reader.beginArray();
      this.#state = "in nodes";
      return;
    }
    if (!this.#found) throw reader.wrong('"nodes" before this');
    reader.finish();
    this.#state = "behind";
  }

  #decodeNode(): TreeNode {
    const { reader } = this;
    const node = emptyNode();
    this.#node = node;
    reader.beginObject();
    for (let name = reader.nextMember(FIELD_NAMES); name !== END; name = reader.nextMember(FIELD_NAMES)) {
      if (name === UNKNOWN) reader.skip();
      else if (!reader.takeNull()) FIELD_READERS[name]!(this, node, this.#likely);
    }
    this.#count++;
    this.#node = undefined;
    this.#likely = node;
    return node;
  }

  name(): Buffer {
    const plain = this.reader.takeString();
    // Names are copied, or every one of them would keep the whole blob in memory.
    if (plain) return copyOf(this.reader.bytes, this.reader.start, this.reader.end);
    const text = this.reader.takenBytes();
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
    return `node ${this.#count}${name} of tree`;
  }
}

/** For the few bytes of a name a loop is faster than a call into the runtime. */
function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  for (let i = 0; i < copy.length; i++) copy[i] = bytes[start + i]!;
  return copy;
}
