import type { UnsealFailure } from "../engine/engine.js";

const REASONS: Readonly<Record<UnsealFailure, string>> = {
  "too-short": "it is too short to be sealed data",
  mac: "authentication failed",
  decompress: "it cannot be decompressed",
  length: "its plaintext has the wrong length",
  hash: "SHA-256 of its plaintext differs from its ID",
};

/** The reason part of a message. */
export function formatUnsealFailure(failure: UnsealFailure): string {
  return REASONS[failure];
}
