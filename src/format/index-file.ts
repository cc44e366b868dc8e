/**
 * Index files: which blobs lie in which packs.
 *
 *     {"packs":[{"id":"…","blobs":[{"id":"…","type":"data","offset":0,"length":45,"uncompressed_length":13}, …]}, …]}
 *
 * A repository can have millions of blobs, so they are handed to a visitor one by one and never become objects.
 * What old restic (`supersedes`) and rustic (`packs_to_delete`, and `time` and `size` of a pack) add is left out.
 */

import { ID_LENGTH, type Id, idFromBytes } from "../bytes/id.js";
import { END, JsonReader } from "../bytes/json-reader.js";
import { NameTable } from "../bytes/name-table.js";
import { TextWriter } from "../bytes/text-writer.js";
import { FormatError } from "../errors.js";
import type { BlobType } from "./blob.js";
import type { PackedBlob } from "./pack-header.js";

/** What hears of every pack and blob of an index file, in the order of the file. */
export interface IndexVisitor {
  /** A pack; its blobs follow. The ID is a view that is valid during the call only. */
  pack(packId: Id): void;
  /**
   * A blob of the pack that was named last. The ID is a view that is valid during the call only: copy what you keep.
   * `uncompressedLength` is 0 for a blob that is stored as it is.
   */
  blob(type: BlobType, id: Id, offset: number, length: number, uncompressedLength: number): void;
}

/** A pack and its blobs, as an index file lists them. */
export interface IndexedPack {
  readonly packId: Id;
  readonly blobs: readonly PackedBlob[];
}

const FILE_NAMES = new NameTable(["packs"]);
const PACK_NAMES = new NameTable(["id", "blobs"]);
const BLOB_NAMES = new NameTable(["id", "type", "offset", "length", "uncompressed_length"]);
const BLOB_TYPES: readonly BlobType[] = ["data", "tree"];
const TYPE_NAMES = new NameTable(BLOB_TYPES);

/** Offsets and lengths are unsigned 32 bit: restic's packs stay far below. */
const MAX_UINT32 = 0xffff_ffff;

/**
 * Decodes an index file and hands its packs and blobs to the visitor.
 *
 * @param options version 1 has no compressed blobs, and restic refuses them there; the default is 2
 * @throws {FormatError} if anything is of the wrong kind; what the visitor has heard by then must be thrown away
 */
export function decodeIndexFile(
  json: Uint8Array,
  visitor: IndexVisitor,
  options: { readonly version?: 1 | 2 } = {},
): void {
  new IndexDecoder(json, visitor, options.version ?? 2).decode();
}

class IndexDecoder {
  readonly #reader: JsonReader;
  readonly #visitor: IndexVisitor;
  readonly #version: 1 | 2;
  readonly #packId = idFromBytes(new Uint8Array(ID_LENGTH));
  readonly #blobId = idFromBytes(new Uint8Array(ID_LENGTH));

  constructor(json: Uint8Array, visitor: IndexVisitor, version: 1 | 2) {
    this.#reader = new JsonReader(json, () => "index");
    this.#visitor = visitor;
    this.#version = version;
  }

  decode(): void {
    const reader = this.#reader;
    if (reader.isArray()) {
      throw new FormatError(
        "Cannot decode index: want an object, have an array, the format before restic 0.2",
        {
          hint: "Rebuild the index with `repair index`",
        },
      );
    }
    reader.beginObject();
    for (let name = reader.nextMember(FILE_NAMES); name !== END; name = reader.nextMember(FILE_NAMES)) {
      if (name !== 0) reader.skip();
      else if (!reader.takeNull()) this.#packs();
    }
    reader.finish();
  }

  #packs(): void {
    const reader = this.#reader;
    reader.beginArray();
    while (reader.nextItem()) this.#pack();
  }

  #pack(): void {
    const reader = this.#reader;
    let known = false;
    let blobsAt = -1;
    reader.beginObject();
    for (let name = reader.nextMember(PACK_NAMES); name !== END; name = reader.nextMember(PACK_NAMES)) {
      if (name === 0) {
        reader.id(this.#packId, 0);
        this.#visitor.pack(this.#packId);
        known = true;
      } else if (name === 1 && known) {
        this.#blobs();
      } else {
        if (name === 1) blobsAt = reader.offset;
        reader.skip();
      }
    }
    if (!known) throw reader.wrong('an "id" in each pack before this');
    if (blobsAt < 0) return;
    // A tool that sorts names has put the blobs before the ID: only now can they be told to the visitor.
    const end = reader.offset;
    reader.offset = blobsAt;
    this.#blobs();
    reader.offset = end;
  }

  #blobs(): void {
    const reader = this.#reader;
    if (reader.takeNull()) return;
    reader.beginArray();
    while (reader.nextItem()) this.#blob();
  }

  #blob(): void {
    const reader = this.#reader;
    let type = -1;
    let offset = 0;
    let length = -1;
    let uncompressedLength = 0;
    let known = false;
    reader.beginObject();
    for (let name = reader.nextMember(BLOB_NAMES); name !== END; name = reader.nextMember(BLOB_NAMES)) {
      switch (name) {
        case 0:
          reader.id(this.#blobId, 0);
          known = true;
          break;
        case 1:
          type = reader.oneOf(TYPE_NAMES);
          if (type < 0) throw reader.wrong('"data" or "tree" before this');
          break;
        case 2:
          offset = reader.uint(MAX_UINT32);
          break;
        case 3:
          length = reader.uint(MAX_UINT32);
          break;
        case 4:
          uncompressedLength = reader.uint(MAX_UINT32);
          break;
        default:
          reader.skip();
      }
    }
    if (!known || type < 0 || length < 0)
      throw reader.wrong('"id", "type" and "length" in each blob before this');
    if (uncompressedLength > 0 && this.#version === 1)
      throw reader.wrong("no uncompressed length before this in a repository of version 1");
    this.#visitor.blob(BLOB_TYPES[type]!, this.#blobId, offset, length, uncompressedLength);
  }
}

/** JSON of a pack, and of a blob, with the largest numbers that there are. Memory that is not written to costs nothing. */
const MAX_PACK_TEXT = 100;
const MAX_BLOB_TEXT = 200;

/** The JSON of an index file, as restic writes it, newline included. */
export function encodeIndexFile(packs: Iterable<IndexedPack>): Buffer {
  const all = [...packs];
  const blobs = all.reduce((sum, pack) => sum + pack.blobs.length, 0);
  const text = new TextWriter(MAX_PACK_TEXT * (all.length + 1) + MAX_BLOB_TEXT * blobs);
  text.ascii('{"packs":[');
  for (const [i, pack] of all.entries()) {
    text.ascii(i === 0 ? '{"id":"' : ',{"id":"');
    text.hex(pack.packId);
    text.ascii('","blobs":[');
    for (const [j, blob] of pack.blobs.entries()) {
      if (j > 0) text.ascii(",");
      writeBlob(text, blob);
    }
    text.ascii("]}");
  }
  text.ascii("]}\n");
  return text.finish();
}

function writeBlob(text: TextWriter, { id, type, offset, length, uncompressedLength }: PackedBlob): void {
  text.ascii('{"id":"');
  text.hex(id);
  text.ascii('","type":"');
  text.ascii(type);
  text.ascii('","offset":');
  text.uint(offset);
  text.ascii(',"length":');
  text.uint(length);
  if (uncompressedLength > 0) {
    text.ascii(',"uncompressed_length":');
    text.uint(uncompressedLength);
  }
  text.ascii("}");
}
