import { equalIds, ID_LENGTH, type Id } from "../bytes/id.js";
import type { PackedBlob } from "../format/pack-header.js";
import { plainLengthOf } from "../repository/blob-groups.js";
import type { BlobLocation } from "../repository/blob-index.js";
import { IdNumbers } from "../repository/id-numbers.js";
import { ByteStore, NumberRows } from "./columns.js";

/** A blob of a pack, and where its plaintext belongs. */
export interface PlannedBlob extends PackedBlob {
  /** Numbers of the places. */
  readonly places: number[];
}

/** A pack, and the places that want something of it. */
export interface PackPlan {
  readonly packId: Id;
  readonly places: readonly number[];
}

/** Columns. */
const OFFSET = 0;
const LENGTH = 1;
const UNCOMPRESSED = 2;
const ID = 3;
const FILE = 4;
const FILE_OFFSET = 5;

/** Where blobs belong: in which file, and where in it. Numbers only, 80 bytes a place, since there can be millions. */
export class BlobPlaces {
  readonly #rows = new NumberRows(6);
  readonly #ids = new ByteStore();
  readonly #packs: { readonly packId: Id; readonly places: number[] }[] = [];
  /** Positions in `#packs`. */
  readonly #packNumbers = new IdNumbers();

  /** @returns the number of the place */
  add(id: Id, location: BlobLocation, file: number, fileOffset: number): number {
    const { packId, offset, length, uncompressedLength } = location;
    const pack = this.#packNumbers.add(packId);
    if (pack === this.#packs.length) this.#packs.push({ packId, places: [] });
    const at = this.#ids.add(id);
    const place = this.#rows.add(offset, length, uncompressedLength, at, file, fileOffset);
    this.#packs[pack]!.places.push(place);
    return place;
  }

  fileOf(place: number): number {
    return this.#rows.get(place, FILE);
  }

  fileOffsetOf(place: number): number {
    return this.#rows.get(place, FILE_OFFSET);
  }

  idOf(place: number): Id {
    return this.#ids.get(this.#rows.get(place, ID), ID_LENGTH) as Uint8Array as Id;
  }

  /** Packs in the order in which they were first needed. */
  packs(): readonly PackPlan[] {
    return this.#packs;
  }

  /** The blobs of a plan in the order of the pack, each once, with all places where it belongs. */
  blobsOf({ places }: PackPlan): PlannedBlob[] {
    const rows = this.#rows;
    const sorted = places.toSorted((a, b) => rows.get(a, OFFSET) - rows.get(b, OFFSET) || a - b);
    const blobs: PlannedBlob[] = [];
    for (const place of sorted) {
      const last = blobs.at(-1);
      const id = this.idOf(place);
      const offset = rows.get(place, OFFSET);
      if (last?.offset === offset && equalIds(last.id, id)) {
        last.places.push(place);
        continue;
      }
      const length = rows.get(place, LENGTH);
      const uncompressedLength = rows.get(place, UNCOMPRESSED);
      blobs.push({ type: "data", id, offset, length, uncompressedLength, places: [place] });
    }
    return blobs;
  }

  /** Length of the plaintext that belongs there, in bytes. */
  plainLengthOf(place: number): number {
    return plainLengthOf({
      length: this.#rows.get(place, LENGTH),
      uncompressedLength: this.#rows.get(place, UNCOMPRESSED),
    });
  }
}
