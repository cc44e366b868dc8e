/** zstd frames written by hand (RFC 8878), of the kind that no compressor at hand makes. */

const MAX_BLOCK = 128 * 1024;

/** One frame of raw blocks with a window of 512 KiB and no content size, as restic's compressor may write it. */
export function unframed(data: Uint8Array): Buffer {
  const parts: Uint8Array[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (19 - 10) << 3])];
  let offset = 0;
  do {
    const block = data.subarray(offset, offset + MAX_BLOCK);
    offset += block.length;
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | Number(offset >= data.length), 0, 3);
    parts.push(header, block);
  } while (offset < data.length);
  return Buffer.concat(parts);
}

/** Bytes without a pattern, always the same. */
export function incompressible(length: number): Buffer {
  const data = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[i] = state & 0xff;
  }
  return data;
}
