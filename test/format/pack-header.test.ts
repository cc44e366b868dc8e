import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idFromBytes } from "../../src/bytes/id.js";
import { FormatError } from "../../src/errors.js";
import {
  decodeHeaderLength,
  decodePackHeader,
  EAGER_TAIL_LENGTH,
  encodePackHeader,
  MAX_HEADER_ENTRIES,
  MIN_PACK_LENGTH,
  type PackedBlob,
  sealedHeaderLength,
} from "../../src/format/pack-header.js";

/** One entry of each type, as the format description of restic lays them out. */
const VECTOR = [
  `00${"2d000000"}${"11".repeat(32)}`,
  `01${"20000000"}${"22".repeat(32)}`,
  `02${"00010000"}${"ffff0100"}${"33".repeat(32)}`,
  `03${"21000000"}${"01000000"}${"44".repeat(32)}`,
].join("");
const VECTOR_BLOBS_LENGTH = 0x2d + 0x20 + 0x100 + 0x21;

const blobs = fc
  .array(
    fc.record({
      type: fc.constantFrom("data" as const, "tree" as const),
      id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => idFromBytes(bytes)),
      length: fc.integer({ min: 32, max: 2 ** 24 }),
      uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffff_ffff })),
    }),
    { minLength: 1 },
  )
  .map((list) => {
    let offset = 0;
    return list.map((blob): PackedBlob => {
      const at = offset;
      offset += blob.length;
      return { ...blob, offset: at };
    });
  });

describe("decodePackHeader", () => {
  it("reads all four types", () => {
    const plaintext = Buffer.from(VECTOR, "hex");
    const sealed = plaintext.length + 32;
    const decoded = decodePackHeader(plaintext, VECTOR_BLOBS_LENGTH + sealed + 4, sealed);
    expect(
      decoded.map(({ type, offset, length, uncompressedLength }) => [
        type,
        offset,
        length,
        uncompressedLength,
      ]),
    ).toEqual([
      ["data", 0, 45, 0],
      ["tree", 45, 32, 0],
      ["data", 77, 256, 131071],
      ["tree", 333, 33, 1],
    ]);
    expect(sealedHeaderLength(decoded)).toBe(sealed);
    expect(encodePackHeader(decoded)).toEqual(plaintext);
  });

  it("undoes encodePackHeader", () => {
    fc.assert(
      fc.property(blobs, (list) => {
        const last = list.at(-1)!;
        const sealed = sealedHeaderLength(list);
        const packSize = last.offset + last.length + sealed + 4;
        expect(decodePackHeader(encodePackHeader(list), packSize, sealed)).toEqual(list);
      }),
    );
  });

  const sealed = VECTOR.length / 2 + 32;
  const size = VECTOR_BLOBS_LENGTH + sealed + 4;
  it.each([
    ["a type of 4", `04${VECTOR.slice(2)}`, "want a type from 0 to 3 at offset 0, have 4"],
    ["a cut entry", VECTOR.slice(0, -2), "want 32 bytes at offset 124, have 31"],
    ["a single byte", VECTOR.slice(0, 2), "want 4 bytes at offset 1, have 0"],
    ["a missing entry", VECTOR.slice(0, 74), "want blobs of 366 bytes in all, have 45 in 1 entries"],
    [
      "a blob too short to be sealed",
      VECTOR.replace("2d000000", "1f000000"),
      "at least 32 bytes at offset 0, have 31",
    ],
    ["a blob too long", VECTOR.replace("2d000000", "2e000000"), "have 367 in 4 entries"],
    ["an uncompressed length of 0", VECTOR.replace("ffff0100", "00000000"), "above 0 at offset 74"],
    ["no entries", "", "have 0 in 0 entries"],
  ])("refuses %s", (_, hex, reason) => {
    const decoding = () => decodePackHeader(Buffer.from(hex, "hex"), size, sealed);
    expect(decoding).toThrow(FormatError);
    expect(decoding).toThrow(reason);
  });

  it("refuses compressed blobs in version 1", () => {
    const plaintext = Buffer.from(VECTOR, "hex");
    expect(() => decodePackHeader(plaintext, size, sealed, { version: 1 })).toThrow(
      "want a type from 0 to 1 at offset 74, have 2",
    );
    const plain = plaintext.subarray(0, 74);
    expect(decodePackHeader(plain, 77 + 106 + 4, 106, { version: 1 })).toHaveLength(2);
  });
});

describe("encodePackHeader", () => {
  it("refuses blobs with a gap between them", () => {
    const id = idFromBytes(new Uint8Array(32));
    const blob = { type: "data" as const, id, length: 40, uncompressedLength: 0 };
    expect(() =>
      encodePackHeader([
        { ...blob, offset: 0 },
        { ...blob, offset: 41 },
      ]),
    ).toThrow("want blob 00000000 at 40, have 41");
  });
});

describe("decodeHeaderLength", () => {
  const tail = (length: number) => {
    const bytes = Buffer.alloc(10);
    bytes.writeUInt32LE(length, 6);
    return bytes;
  };

  it("reads the last four bytes", () => {
    expect(decodeHeaderLength(tail(69), MIN_PACK_LENGTH)).toBe(69);
    expect(decodeHeaderLength(tail(16 * 1024 * 1024), 2 ** 31)).toBe(16 * 1024 * 1024);
  });

  it.each([
    [0, 1000],
    [68, 1000],
    [997, 1000],
    [16 * 1024 * 1024 + 1, 2 ** 31],
    [0xffff_ffff, 2 ** 40],
    [69, MIN_PACK_LENGTH - 1],
    [69, 0],
  ])("refuses %d bytes at the end of a pack of %d", (length, packSize) => {
    expect(() => decodeHeaderLength(tail(length), packSize)).toThrow(FormatError);
  });

  it("refuses a tail of less than four bytes", () => {
    expect(() => decodeHeaderLength(new Uint8Array(3), 1000)).toThrow(FormatError);
  });
});

describe("the limits of a header", () => {
  it("are restic's", () => {
    expect(MAX_HEADER_ENTRIES).toBe(409_199);
    expect(EAGER_TAIL_LENGTH).toBe(15 * 41 + 36);
    expect(MIN_PACK_LENGTH).toBe(73);
  });
});
