/** A part of a file: both ends inclusive, as HTTP counts. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** More are answered with the whole file, as RFC 9110 section 14.2 allows: each costs a header and a seek. */
const MAX_RANGES = 16;

/**
 * Reads the Range header of a request (RFC 9110 section 14.1.2).
 *
 * @returns `undefined` when there is none to be served (no header, another unit, bad grammar, an empty file: the header is
 * then to be ignored), `[]` when no range lies within the file (416), else the parts that do
 */
export function parseByteRanges(header: string | undefined, size: number): ByteRange[] | undefined {
  const match = /^bytes=(.+)$/i.exec(header ?? "");
  // Some clients ask for a range of everything: of nothing, the whole is as good as any.
  if (!match || size === 0) return undefined;
  const ranges: ByteRange[] = [];
  // Empty elements of a list mean nothing (section 5.6.1.2).
  const specs = match[1]!.split(",").filter((spec) => spec.trim() !== "");
  if (specs.length === 0 || specs.length > MAX_RANGES) return undefined;
  for (const spec of specs) {
    const ends = /^\s*(\d*)-(\d*)\s*$/.exec(spec);
    if (!ends || (ends[1] === "" && ends[2] === "")) return undefined;
    const range = ends[1] === "" ? suffixOf(Number(ends[2]), size) : within(ends[1]!, ends[2]!, size);
    if (range === "invalid") return undefined;
    if (range) ranges.push(range);
  }
  return ranges;
}

function suffixOf(length: number, size: number): ByteRange | undefined {
  return length > 0 ? { first: Math.max(0, size - length), last: size - 1 } : undefined;
}

function within(from: string, to: string, size: number): ByteRange | "invalid" | undefined {
  const first = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < first) return "invalid";
  return first < size ? { first, last } : undefined;
}
