import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import { decodeLockFile, encodeLockFile } from "../../src/format/lock-file.js";
import { LOCK_RESTIC, LOCK_ROOT } from "../vectors/format-files.js";

describe("decodeLockFile", () => {
  it("reads restic's", () => {
    expect(decodeLockFile(Buffer.from(LOCK_RESTIC))).toMatchObject({
      exclusive: false,
      hostname: "vm",
      username: "u",
      pid: 4711,
      uid: 1000,
      gid: 100,
    });
  });

  it.each([
    "",
    "{}",
    "[]",
    '{"time":5}',
    LOCK_RESTIC.replace("false", '"no"'),
    LOCK_RESTIC.replace("4711", "-1"),
  ])("refuses %j", (json) => {
    expect(() => decodeLockFile(Buffer.from(json))).toThrow(FormatError);
  });
});

describe("encodeLockFile", () => {
  it.each([LOCK_RESTIC, LOCK_ROOT])("writes %s byte for byte", (json) => {
    expect(encodeLockFile(decodeLockFile(Buffer.from(json))).toString()).toBe(json);
  });
});
