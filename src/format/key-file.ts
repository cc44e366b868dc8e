/**
 * Key files: the only plain JSON of a repository. Each holds the master key, wrapped by what scrypt makes of one
 * password; anybody who can write to the backend can write one, so its numbers are checked before they cost anything.
 */

import { FormatError } from "../errors.js";
import { goJsonObject } from "./go-json.js";
import { JsonFields } from "./json-fields.js";
import { formatTimestamp, type Timestamp, ZERO_TIME } from "./timestamp.js";

export interface KeyFile {
  /** `undefined` where the writer stored none. */
  readonly created: Timestamp | undefined;
  readonly username: string;
  readonly hostname: string;
  /** scrypt's cost, a power of two. */
  readonly N: number;
  /** scrypt's block size. */
  readonly r: number;
  /** scrypt's parallelism. */
  readonly p: number;
  /** 64 bytes. */
  readonly salt: Uint8Array;
  /** The sealed master key. */
  readonly data: Uint8Array;
}

/** The three keys of a repository. */
export interface MasterKeyParts {
  readonly encrypt: Uint8Array;
  readonly macK: Uint8Array;
  readonly macR: Uint8Array;
}

export const SALT_LENGTH = 64;
const ENCRYPT_KEY_LENGTH = 32;
const MAC_KEY_LENGTH = 16;
/** IV and MAC: the least that sealed data can have. */
const MIN_DATA_LENGTH = 32;

/** restic calibrates for 60 MiB and rustic goes a little higher: 1 GiB is far beyond both. */
const MAX_SCRYPT_BYTES = 2 ** 30;
/** restic's usual cost N*r*p is about 2^20, half a second; 2^27 would be a minute. */
const MAX_SCRYPT_COST = 2 ** 27;

/** @throws {FormatError} if it is no key file, or scrypt is asked for more memory or time than any honest key needs */
export function decodeKeyFile(json: Uint8Array): KeyFile {
  const fields = JsonFields.parse("key file", json);
  const kdf = fields.text("kdf");
  if (kdf !== "scrypt")
    throw new FormatError(`Cannot decode key file: want "scrypt" for "kdf", have ${JSON.stringify(kdf)}`);
  const [N, r, p] = [fields.count("N"), fields.count("r"), fields.count("p")];
  checkScryptCost(N, r, p);
  const salt = fields.bytes("salt");
  if (salt.length !== SALT_LENGTH)
    throw new FormatError(
      `Cannot decode key file: want ${SALT_LENGTH} bytes for "salt", have ${salt.length}`,
    );
  const data = fields.bytes("data");
  if (data.length <= MIN_DATA_LENGTH)
    throw new FormatError(
      `Cannot decode key file: want more than ${MIN_DATA_LENGTH} bytes for "data", have ${data.length}`,
    );
  return {
    created: fields.time("created"),
    username: fields.text("username"),
    hostname: fields.text("hostname"),
    N,
    r,
    p,
    salt,
    data,
  };
}

/** The JSON of a key file, as restic writes it. */
export function encodeKeyFile(key: KeyFile): Buffer {
  const json = goJsonObject([
    ["created", formatTimestamp(key.created ?? ZERO_TIME)],
    ["username", key.username],
    ["hostname", key.hostname],
    ["kdf", "scrypt"],
    ["N", key.N],
    ["r", key.r],
    ["p", key.p],
    ["salt", toBase64(key.salt)],
    ["data", toBase64(key.data)],
  ]);
  return Buffer.from(json, "utf8");
}

/** Decodes the plaintext of a key file's `data`. @throws {FormatError} if a part is missing or of the wrong length */
export function decodeMasterKey(json: Uint8Array): MasterKeyParts {
  const key = readMasterKey(json);
  if (
    key?.encrypt.length === ENCRYPT_KEY_LENGTH &&
    key.macK.length === MAC_KEY_LENGTH &&
    key.macR.length === MAC_KEY_LENGTH
  ) {
    return key;
  }
  throw new FormatError("Cannot decode master key: want keys of 32, 16 and 16 bytes, have others");
}

/** The plaintext of a key file's `data`. */
export function encodeMasterKey(key: MasterKeyParts): Buffer {
  const json = goJsonObject([
    ["mac", { k: toBase64(key.macK), r: toBase64(key.macR) }],
    ["encrypt", toBase64(key.encrypt)],
  ]);
  return Buffer.from(json, "utf8");
}

/** Swallows errors with their causes, because they would quote the secret in messages and logs. */
function readMasterKey(json: Uint8Array): MasterKeyParts | undefined {
  try {
    const fields = JsonFields.parse("master key", json);
    const mac = fields.object("mac");
    return mac && { encrypt: fields.bytes("encrypt"), macK: mac.bytes("k"), macR: mac.bytes("r") };
  } catch {
    return undefined;
  }
}

function checkScryptCost(N: number, r: number, p: number): void {
  const powerOfTwo = N >= 2 && N <= 2 ** 30 && (N & (N - 1)) === 0;
  if (!powerOfTwo || r < 1 || p < 1)
    throw new FormatError(
      `Cannot decode key file: want scrypt parameters N a power of two, r and p from 1, have N=${N} r=${r} p=${p}`,
    );
  if (128 * N * r > MAX_SCRYPT_BYTES || 128 * r * p > MAX_SCRYPT_BYTES || N * r * p > MAX_SCRYPT_COST) {
    throw new FormatError(
      `Cannot decode key file: scrypt parameters N=${N} r=${r} p=${p} ask for more than 1 GiB of memory or minutes of time`,
    );
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
