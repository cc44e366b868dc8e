/**
 * The config of a repository: `{"version":2,"id":"…","chunker_polynomial":"…"}`, encrypted, never compressed.
 * rustic keeps many more settings in it; they are written back as they were.
 */

import { isHexId } from "../bytes/id.js";
import { FormatError } from "../errors.js";
import { goJsonObject } from "./go-json.js";
import { JsonFields } from "./json-fields.js";
import { degree, isIrreducible, POLYNOMIAL_DEGREE } from "./polynomial.js";

/** 1 is as old as restic, 2 brought compression. */
export type RepositoryVersion = 1 | 2;

export interface RepositoryConfig {
  readonly version: RepositoryVersion;
  /** 64 hex digits, random; names the repository in caches. */
  readonly id: string;
  readonly chunkerPolynomial: bigint;
  /** Settings of other programs. */
  readonly unknown: Readonly<Record<string, unknown>>;
}

/** @throws {FormatError} if it is no config, of an unknown version, or its polynomial is not irreducible of degree 53 */
export function decodeConfig(json: Uint8Array): RepositoryConfig {
  const fields = JsonFields.parse("config", json);
  const version = fields.count("version");
  if (version !== 1 && version !== 2) {
    throw new FormatError(`Cannot decode config: want repository version 1 or 2, have ${version}`, {
      hint: "A newer program may be needed to open this repository",
    });
  }
  const id = fields.requiredText("id");
  if (!isHexId(id)) throw new FormatError(`Cannot decode config: want 64 hex digits for "id", have "${id}"`);
  return { version, id, chunkerPolynomial: decodePolynomial(fields), unknown: fields.unknown() };
}

/** The JSON of a config, as restic writes it, other programs' settings behind the three of restic. */
export function encodeConfig(config: RepositoryConfig): Buffer {
  const json = goJsonObject([
    ["version", config.version],
    ["id", config.id],
    ["chunker_polynomial", config.chunkerPolynomial.toString(16)],
    ...Object.entries(config.unknown),
  ]);
  return Buffer.from(json, "utf8");
}

function decodePolynomial(fields: JsonFields): bigint {
  const text = fields.requiredText("chunker_polynomial");
  const polynomial = /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : 0n;
  // Any other degree would cut at other places than restic, whose tables are made for 53.
  if (degree(polynomial) !== POLYNOMIAL_DEGREE || !isIrreducible(polynomial)) {
    throw new FormatError(
      `Cannot decode config: want an irreducible polynomial of degree ${POLYNOMIAL_DEGREE} for "chunker_polynomial", have "${text.slice(0, 80)}"`,
    );
  }
  return polynomial;
}
