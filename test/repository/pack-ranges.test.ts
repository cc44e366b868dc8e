import { describe, expect, it } from "vitest";
import { parseId } from "../../src/bytes/id.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { planRanges } from "../../src/repository/pack-ranges.js";

describe("planRanges", () => {
  const at = (offset: number, length: number): PackedBlob => ({
    type: "data",
    id: parseId("0".repeat(64))!,
    offset,
    length,
    uncompressedLength: 0,
  });
  const MIB = 1024 * 1024;

  it.each([
    ["nothing", [], []],
    ["one blob", [at(5, 10)], [[5, 10]]],
    ["neighbours in any order", [at(15, 5), at(5, 10)], [[5, 15]]],
    ["a gap of 1 MiB", [at(0, 10), at(10 + MIB, 10)], [[0, MIB + 20]]],
    [
      "a wider gap",
      [at(0, 10), at(11 + MIB, 10)],
      [
        [0, 10],
        [11 + MIB, 10],
      ],
    ],
    [
      "more than 8 MiB",
      [at(0, 5 * MIB), at(5 * MIB, 5 * MIB)],
      [
        [0, 5 * MIB],
        [5 * MIB, 5 * MIB],
      ],
    ],
    [
      "one blob larger than 8 MiB",
      [at(0, 20 * MIB), at(20 * MIB, 1)],
      [
        [0, 20 * MIB],
        [20 * MIB, 1],
      ],
    ],
    ["overlapping and repeated blobs", [at(0, 100), at(50, 10), at(50, 10), at(90, 20)], [[0, 110]]],
  ])("plans for %s", (_, blobs, wanted) => {
    const ranges = planRanges(blobs as PackedBlob[]);
    expect(ranges.map(({ offset, length }) => [offset, length])).toEqual(wanted);
    expect(ranges.flatMap((range) => range.blobs).length).toBe(blobs.length);
  });
});
