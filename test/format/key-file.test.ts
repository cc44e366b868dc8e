import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import { decodeKeyFile, decodeMasterKey, encodeKeyFile, encodeMasterKey } from "../../src/format/key-file.js";
import { KEY_RESTIC, KEY_RUSTIC, MASTER_KEY } from "../vectors/format-files.js";

const decode = (json: string) => decodeKeyFile(Buffer.from(json));

describe("decodeKeyFile", () => {
  it("reads restic's, and writes it back byte for byte", () => {
    const key = decode(KEY_RESTIC);
    expect(key).toMatchObject({ username: "root", hostname: "vm", N: 32768, r: 8, p: 5 });
    expect(key.data).toHaveLength(139);
    expect(encodeKeyFile(key).toString()).toBe(KEY_RESTIC);
  });

  it("reads rustic's, which may lack who and when", () => {
    const nobody = { created: undefined, username: "", hostname: "" };
    expect(decode(KEY_RUSTIC)).toMatchObject({ ...nobody, N: 262144, r: 1, p: 1 });
  });

  it("refuses every truncation", () => {
    for (let length = 0; length < KEY_RESTIC.length; length++)
      expect(() => decode(KEY_RESTIC.slice(0, length))).toThrow(FormatError);
  });

  it.each([
    ['"scrypt"', '"argon2"', 'want "scrypt" for "kdf", have "argon2"'],
    ["32768", "32767", "power of two"],
    ["32768", "0", "power of two"],
    ["32768", "1", "power of two"],
    ["32768", "-32768", "whole number"],
    ["32768", "1.5", "whole number"],
    ["32768", "1073741824", "more than 1 GiB"],
    ["32768", "4294967296", "power of two"],
    ["32768", "9007199254740992", "whole number"],
    ['"r":8', '"r":0', "from 1"],
    ['"r":8', '"r":1048576', "more than 1 GiB"],
    ['"p":5', '"p":0', "from 1"],
    ['"p":5', '"p":100000', "more than 1 GiB of memory or minutes"],
    ['"salt":"BQ', '"salt":"', "base64"],
    ['"salt":"BQUF', '"salt":"', 'want 64 bytes for "salt", have 61'],
    ['"salt":"BQUF', '"salt":"*QUF', "base64"],
    ['"data":"', '"data":"","old":"', "want more than 32 bytes"],
  ])("refuses %s changed to %s", (from, to, reason) => {
    expect(KEY_RESTIC).toContain(from);
    expect(() => decode(KEY_RESTIC.replace(from, to))).toThrow(FormatError);
    expect(() => decode(KEY_RESTIC.replace(from, to))).toThrow(reason);
  });
});

describe("decodeMasterKey", () => {
  it("reads the three keys, and writes them back byte for byte", () => {
    const key = decodeMasterKey(Buffer.from(MASTER_KEY));
    expect(Buffer.from(key.encrypt)).toEqual(Buffer.alloc(32, 3));
    expect(Buffer.from(key.macK)).toEqual(Buffer.alloc(16, 1));
    expect(Buffer.from(key.macR)).toEqual(Buffer.alloc(16, 2));
    expect(encodeMasterKey(key).toString()).toBe(MASTER_KEY);
  });

  const SECRET = "SECRETSECRETSECRET";
  it.each([
    SECRET,
    `{"encrypt":"${SECRET}"}`,
    `{"encrypt":["${SECRET}"]}`,
    `{"mac":"${SECRET}"}`,
    `{"mac":{"k":"${SECRET}"}}`,
    "{}",
    "",
  ])("shows nothing of the secret when it refuses %s", (json) => {
    const decoding = () => decodeMasterKey(Buffer.from(json));
    expect(decoding).toThrow(FormatError);
    expect(decoding).not.toThrow(/SECRET/);
  });
});
