import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import { decodeConfig, encodeConfig } from "../../src/format/config.js";
import { CONFIG_RESTIC, CONFIG_RUSTIC } from "../vectors/format-files.js";

const decode = (json: string) => decodeConfig(Buffer.from(json));

describe("decodeConfig", () => {
  it("reads restic's config", () => {
    expect(decode(CONFIG_RESTIC)).toEqual({
      version: 2,
      id: "0123456789abcdef".repeat(4),
      chunkerPolynomial: 0x3caf26730a7f8dn,
      unknown: {},
    });
  });

  it.each([
    [CONFIG_RESTIC.replace(":2", ":3"), "want repository version 1 or 2, have 3"],
    [CONFIG_RESTIC.replace(":2", ":0"), "have 0"],
    ["{}", "want repository version 1 or 2"],
    ["", "the file is empty"],
    [CONFIG_RESTIC.replace("0123", "012"), "64 hex digits"],
    [CONFIG_RESTIC.replace("3caf26730a7f8d", "3caf26730a7f8c"), "irreducible polynomial"],
    [CONFIG_RESTIC.replace("3caf26730a7f8d", "3"), "irreducible polynomial"],
    [CONFIG_RESTIC.replace("3caf26730a7f8d", "xyz"), "irreducible polynomial"],
    [CONFIG_RESTIC.replace("3caf26730a7f8d", "f".repeat(10_000)), "irreducible polynomial"],
    [CONFIG_RESTIC.replace('"3caf26730a7f8d"', "5"), "want a string"],
  ])("refuses %s", (json, reason) => {
    expect(() => decode(json)).toThrow(FormatError);
    expect(() => decode(json)).toThrow(reason);
  });
});

describe("encodeConfig", () => {
  it.each([CONFIG_RESTIC, CONFIG_RUSTIC])("writes back %s, other programs' settings included", (json) => {
    expect(encodeConfig(decode(json)).toString()).toBe(json);
  });
});
