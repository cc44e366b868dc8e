/** The flags of `prune`, which `forget --prune` has as well. */

import type { Command } from "commander";
import { UsageError } from "../errors.js";
import type { MaxUnused, PruneOptions } from "../mod.js";
import { addDeprecatedOption } from "./deprecated-option.js";
import type { Io } from "./output.js";
import { parseSize } from "./units.js";

export interface PruneFlags {
  readonly maxUnused: string;
  readonly maxRepackSize?: string;
  readonly repackCacheableOnly?: boolean;
  readonly repackSmallerThan?: string;
  readonly repackUncompressed?: boolean;
}

/** Declares `--max-unused` and its companions. */
export function addPruneOptions(command: Command, io: Io): void {
  command
    .option(
      "--max-unused <limit>",
      "how much unused data may stay: a size like 500M, a percentage like 5%, or 'unlimited'",
      "5%",
    )
    .option("--max-repack-size <size>", "stop choosing packs to repack at this much data")
    .option("--repack-cacheable-only", "only repack packs that the local cache holds")
    .option("--repack-smaller-than <size>", "repack packs below this size (default: what is usual decides)")
    .option("--repack-uncompressed", "repack everything that is not compressed");
  addDeprecatedOption(command, io, {
    flags: "--repack-small",
    instead: "small files are automatically repacked. Use --repack-smaller-than to specify a minimum size",
  });
}

/** @throws {UsageError} in restic's words */
export function resolvePruneOptions(flags: PruneFlags): PruneOptions {
  return {
    maxUnused: parseMaxUnused(flags.maxUnused),
    maxRepackBytes: flags.maxRepackSize ? parseSize("--max-repack-size", flags.maxRepackSize) : undefined,
    repackCacheableOnly: flags.repackCacheableOnly === true,
    repackSmallerThanBytes: flags.repackSmallerThan ? parseSmallerThan(flags.repackSmallerThan) : undefined,
    repackUncompressed: flags.repackUncompressed === true,
  };
}

function parseMaxUnused(text: string): MaxUnused {
  const limit = text.trim();
  if (limit === "") throw new UsageError(`invalid value for --max-unused: "${text}"`);
  if (limit === "unlimited") return { kind: "unlimited" };
  if (!limit.endsWith("%")) return { kind: "bytes", bytes: sizeOfFlag("--max-unused", limit) };
  const number = limit.slice(0, -1);
  const percent = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number) ? Number(number) : Number.NaN;
  if (Number.isNaN(percent)) throw new UsageError(`invalid percentage "${text}" passed for --max-unused`);
  if (percent < 0) throw new UsageError("percentage for --max-unused must be positive");
  if (percent >= 100) throw new UsageError("percentage for --max-unused must be below 100%");
  return { kind: "percent", percent };
}

function parseSmallerThan(text: string): number {
  const bytes = sizeOfFlag("--repack-smaller-than", text);
  if (bytes <= 0) throw new UsageError("--repack-smaller-than must be larger than zero");
  return bytes;
}

function sizeOfFlag(flag: string, text: string): number {
  try {
    return parseSize(flag, text);
  } catch (cause) {
    throw new UsageError(`invalid number of bytes "${text}" for ${flag}`, { cause });
  }
}
