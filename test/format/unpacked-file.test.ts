import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import { classifyUnpacked, frameOfUnpacked, wrapFrame } from "../../src/format/unpacked-file.js";

describe("classifyUnpacked", () => {
  it("knows JSON, and nothing at all, from a compressed file", () => {
    expect(classifyUnpacked(Buffer.from("{}"))).toBe("json");
    expect(classifyUnpacked(Buffer.from("[]"))).toBe("json");
    expect(classifyUnpacked(Buffer.alloc(0))).toBe("json");
    expect(classifyUnpacked(wrapFrame(Buffer.from("frame")))).toBe("zstd");
    expect(Buffer.from(frameOfUnpacked(wrapFrame(Buffer.from("frame")))).toString()).toBe("frame");
  });

  it.each([0, 1, 3, 0x20, 0xff])("refuses a first byte of %d", (byte) => {
    expect(() => classifyUnpacked(Uint8Array.of(byte))).toThrow(FormatError);
  });
});
