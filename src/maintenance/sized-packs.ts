import {
  COMPRESSED_ENTRY_LENGTH,
  HEADER_LENGTH_LENGTH,
  PLAIN_ENTRY_LENGTH,
  SEAL_LENGTH,
} from "../format/pack-header.js";
import type { BlobIndex } from "../repository/blob-index.js";
import type { SizedPack } from "./pack-selection.js";

/** A pack as the index has it. */
export interface IndexedSize extends SizedPack {
  /** Both trees and file data lie in it. */
  readonly isMixed: boolean;
}

const DATA = 1;
const TREES = 2;

/** All packs that the index knows, with the sizes that they must have. Memory: 9 bytes a pack. */
export function* sizedPacks(index: BlobIndex): IterableIterator<IndexedSize> {
  const sizes = new Float64Array(index.packEnd).fill(SEAL_LENGTH + HEADER_LENGTH_LENGTH);
  const kinds = new Uint8Array(index.packEnd);
  for (let entry = 0; entry < index.entryEnd; entry++) {
    const pack = index.packOf(entry);
    const isCompressed = index.uncompressedLengthOf(entry) > 0;
    sizes[pack]! += index.lengthOf(entry) + (isCompressed ? COMPRESSED_ENTRY_LENGTH : PLAIN_ENTRY_LENGTH);
    kinds[pack]! |= index.typeOf(entry) === "tree" ? TREES : DATA;
  }
  for (let pack = 0; pack < index.packEnd; pack++) {
    const packId = index.packId(pack);
    if (index.packNumber(packId) !== undefined)
      yield { packId, size: sizes[pack]!, isMixed: kinds[pack] === (DATA | TREES) };
  }
}
