import { describe, expect, it } from "vitest";
import { goModeFromPosix, nodeTypeFromPosix, posixModeFromNode } from "../../src/format/file-mode.js";

/** Sums of the constants of Go's io/fs. */
const MODES = [
  ["file", 0o100644, 420],
  ["file", 0o106755, 12583405],
  ["dir", 0o040755, 2147484141],
  ["dir", 0o041777, 2148532735],
  ["symlink", 0o120777, 134218239],
  ["dev", 0o060660, 67109296],
  ["chardev", 0o020666, 69206454],
  ["fifo", 0o010644, 33554852],
  ["socket", 0o140755, 16777709],
] as const;

describe("goModeFromPosix", () => {
  it.each(MODES)("makes the mode of a %s of %o", (type, posix, go) => {
    expect(goModeFromPosix(posix)).toBe(go);
    expect(nodeTypeFromPosix(posix)).toBe(type);
    expect(posixModeFromNode({ type, mode: go })).toBe(posix);
  });

  it("keeps a kind it does not know as irregular", () => {
    expect(goModeFromPosix(0o070644)).toBe(2 ** 19 + 0o644);
    expect(nodeTypeFromPosix(0o070644)).toBe("irregular");
  });
});

describe("posixModeFromNode", () => {
  it("takes the kind from the type, as rustic leaves Go's type bits out", () => {
    expect(posixModeFromNode({ type: "dir", mode: 493 })).toBe(0o040755);
    expect(posixModeFromNode({ type: "file", mode: 0 })).toBe(0o100000);
  });

  it("keeps set-user, set-group and sticky bits apart", () => {
    for (let bits = 0; bits < 0o10000; bits++)
      expect(posixModeFromNode({ type: "file", mode: goModeFromPosix(0o100000 | bits) })).toBe(
        0o100000 | bits,
      );
  });
});
