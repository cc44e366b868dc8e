import { describe, expect, it } from "vitest";
import { ByteReader } from "../../src/bytes/byte-reader.js";
import { ByteWriter } from "../../src/bytes/byte-writer.js";
import { FormatError } from "../../src/errors.js";

describe("ByteReader", () => {
  it("reads what ByteWriter wrote", () => {
    const id = Buffer.alloc(32, 7);
    const bytes = new ByteWriter(40).u8(255).u32le(0xfffe_fdfc).bytes(id).bytes(Buffer.from("abc")).finish();
    const reader = new ByteReader(bytes, "thing");
    expect(reader.u8()).toBe(255);
    expect(reader.u32le()).toBe(0xfffe_fdfc);
    expect(Buffer.from(reader.id())).toEqual(id);
    expect(reader.remaining).toBe(3);
    expect(Buffer.from(reader.bytes(3)).toString()).toBe("abc");
  });

  it("says want and have at the end", () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3, 4, 5, 6), "thing");
    reader.u32le();
    expect(() => reader.u32le()).toThrow(
      new FormatError("Cannot read thing: want 4 bytes at offset 4, have 2"),
    );
  });

  it("respects the bounds of a view", () => {
    const reader = new ByteReader(new Uint8Array(100).subarray(10, 14), "thing");
    reader.u32le();
    expect(() => reader.u8()).toThrow(FormatError);
  });
});

describe("ByteWriter", () => {
  it("refuses to be too full or not full enough", () => {
    expect(() => new ByteWriter(3).u32le(1)).toThrow(RangeError);
    expect(() => new ByteWriter(5).u32le(1).finish()).toThrow(RangeError);
  });
});
