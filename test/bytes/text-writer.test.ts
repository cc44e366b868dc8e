import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TextWriter } from "../../src/bytes/text-writer.js";

describe("TextWriter", () => {
  it("writes what was asked for, in order, however small it began", () => {
    const writer = new TextWriter(1);
    writer.ascii("abc");
    writer.uint(0);
    writer.text("é€😀");
    writer.hex(Uint8Array.of(0, 0x0f, 0xff));
    writer.hex(Uint8Array.of(1, 2, 3, 4), 1, 3);
    writer.bytes(Buffer.from("xyz"));
    writer.with(4, (into, offset) => {
      into[offset] = 0x21;
      return offset + 1;
    });
    expect(writer.finish().toString()).toBe("abc0é€😀000fff0203xyz!");
  });

  it("writes any whole number as String does", () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(20)), (value) => {
        const writer = new TextWriter(0);
        writer.uint(value);
        expect(writer.finish().toString()).toBe(String(value));
      }),
    );
    for (let power = 1; power < Number.MAX_SAFE_INTEGER; power *= 10) {
      const writer = new TextWriter();
      writer.uint(power);
      writer.ascii(" ");
      writer.uint(power - 1);
      expect(writer.finish().toString()).toBe(`${power} ${power - 1}`);
    }
  });

  it.each([-1, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses %d as a whole number",
    (value) => {
      expect(() => new TextWriter().uint(value)).toThrow(RangeError);
    },
  );
});
