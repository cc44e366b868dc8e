/**
 * The outside of zstd frames (RFC 8878 section 3.1): where each ends, and how much it can give. The WebAssembly
 * decompresses one frame into memory that it allocates by the frame's own claim, so the claim is read here first.
 *
 * ```
 * frame        magic (4) | descriptor (1) | window (0-1) | dictionary ID (0-4) | content size (0-8) | blocks
 *              | checksum (0-4)
 * block        3 bytes little endian: last (bit 0), type (bits 1-2: raw, RLE, compressed), size | content
 * skippable    magic 0x184D2A50-5F (4) | length (4) | content
 * ```
 */

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_BLOCK_BYTES = 128 * 1024;

const BLOCK_RAW = 0;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

export interface ZstdFrame {
  /** The frame's own bytes, a view. */
  readonly bytes: Uint8Array;
  /** What the frame says that it gives; `undefined` when it does not say. */
  readonly contentSize: number | undefined;
  /** More than this its blocks cannot give. */
  readonly maxContentSize: number;
}

/** The frames that the data consists of, without skippable ones; `undefined` unless it is made of whole frames. */
export function splitFrames(data: Uint8Array): ZstdFrame[] | undefined {
  if (data.length === 0) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const frames: ZstdFrame[] = [];
  let offset = 0;
  try {
    while (offset < data.length) {
      const magic = view.getUint32(offset, true);
      if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
        offset += 8 + view.getUint32(offset + 4, true);
      } else {
        const frame = magic === FRAME_MAGIC ? measureFrame(view, offset) : undefined;
        if (frame === undefined) return undefined;
        frames.push({ bytes: data.subarray(offset, frame.end), ...frame });
        offset = frame.end;
      }
    }
  } catch (error) {
    // A DataView throws for what lies behind the end: the data is cut off.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return offset === data.length ? frames : undefined;
}

function measureFrame(
  view: DataView,
  start: number,
): { end: number; contentSize: number | undefined; maxContentSize: number } | undefined {
  const descriptor = view.getUint8(start + 4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  if ((descriptor & 0x08) !== 0) return undefined;

  let offset = start + 5;
  let windowSize: number | undefined;
  if (!singleSegment) {
    const window = view.getUint8(offset++);
    const base = 2 ** (10 + (window >> 3));
    windowSize = base + (base / 8) * (window & 7);
  }
  offset += [0, 1, 2, 4][descriptor & 3] as number;
  const contentSizeCode = descriptor >> 6;
  const contentSize = readContentSize(view, offset, contentSizeCode, singleSegment);
  offset += contentSizeCode === 0 ? Number(singleSegment) : 2 ** contentSizeCode;

  const blockLimit = Math.min(MAX_BLOCK_BYTES, windowSize ?? contentSize ?? 0);
  let maxContentSize = 0;
  for (let last = false; !last; ) {
    const header = view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    // The WebAssembly lets blocks larger than the window pass, the native zstd does not.
    if (type === BLOCK_RESERVED || size > blockLimit) return undefined;
    maxContentSize += type === BLOCK_RAW || type === BLOCK_RLE ? size : blockLimit;
    offset += 3 + (type === BLOCK_RLE ? 1 : size);
    last = (header & 1) !== 0;
  }
  if (hasChecksum) offset += 4;
  return offset <= view.byteLength ? { end: offset, contentSize, maxContentSize } : undefined;
}

/** A size beyond 2^53 loses precision here, and is too much for any bound anyway. */
function readContentSize(
  view: DataView,
  offset: number,
  code: number,
  singleSegment: boolean,
): number | undefined {
  switch (code) {
    case 0:
      return singleSegment ? view.getUint8(offset) : undefined;
    case 1:
      return view.getUint16(offset, true) + 256;
    case 2:
      return view.getUint32(offset, true);
    default:
      return Number(view.getBigUint64(offset, true));
  }
}
