import { BatchQueue } from "../async/batch-queue.js";
import { Semaphore } from "../async/semaphore.js";
import { ID_LENGTH } from "../bytes/id.js";
import { throwIfAborted } from "../errors.js";
import { type Timestamp, timestampNs } from "../format/timestamp.js";
import { loadAddon } from "../native/addon.js";
import { describeErrno } from "../native/describe-errno.js";
import { EXAMINED, type ExamineFunctions, NUMBERS_OF_EXAMINED } from "../native/examine-functions.js";
import { textBytes } from "../patterns/mod.js";
import {
  compareContent,
  type ExistingFile,
  type Hasher,
  needsRestore,
  type WantedContent,
} from "./existing-file.js";
import type { TargetFolder } from "./target-folder.js";

/** Files of one blob at most and up to this size are looked at together. */
const SMALL_BYTES = 256 * 1024;
/** So many at once, with so much content, in so many hops at a time: 4 MiB in memory. */
const FILES_A_HOP = 16;
const BYTES_A_HOP = 2 * 1024 * 1024;
const HOPS_AT_A_TIME = 2;
/** Others that are read and compared at a time. */
const LARGE_AT_A_TIME = 8;

/** What stands where a file is wanted. */
export interface FoundFile {
  readonly kind: "nothing" | "file" | "other";
  /** Bytes of a file. */
  readonly size: number;
  /** `undefined` when there is no regular file to keep, or it cannot be read. */
  readonly existing: ExistingFile | undefined;
}

export interface ExamineOptions {
  /** A file of the right size and this time is taken to be right without being read. */
  readonly trustTime?: Timestamp | undefined;
  /** Whether a file with other names counts only when it is right as a whole; true when left out. */
  readonly linksMatter?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface SmallFile {
  readonly location: string;
  readonly wanted: WantedContent;
  readonly options: ExamineOptions;
}

/** Compares files of the target with what they should be, blob by blob. */
export class FileExaminer {
  readonly #target: TargetFolder;
  readonly #engine: Hasher;
  readonly #small: BatchQueue<SmallFile, FoundFile | Error> | undefined;
  readonly #large = new Semaphore(LARGE_AT_A_TIME);

  /** @param addon null for none */
  constructor(target: TargetFolder, engine: Hasher, addon: ExamineFunctions | null = loadAddon() ?? null) {
    this.#target = target;
    this.#engine = engine;
    this.#small =
      addon === null
        ? undefined
        : new BatchQueue({
            work: (files) => examineTogether(addon, target, files),
            weigh: ({ wanted }) => wanted.size,
            aloneFrom: SMALL_BYTES + 1,
            maxItems: FILES_A_HOP,
            maxWeight: BYTES_A_HOP,
            maxInFlight: HOPS_AT_A_TIME,
          });
  }

  /** @throws when nobody can tell what stands there */
  async examine(location: string, wanted: WantedContent, options: ExamineOptions = {}): Promise<FoundFile> {
    throwIfAborted(options.signal);
    if (this.#small && wanted.content.length <= 1 && wanted.size <= SMALL_BYTES) {
      const found = await this.#small.run({ location, wanted, options });
      if (found instanceof Error) throw found;
      return found;
    }
    return this.#large.run(() => this.#examineLarge(location, wanted, options));
  }

  async #examineLarge(location: string, wanted: WantedContent, options: ExamineOptions): Promise<FoundFile> {
    const { trustTime, signal } = options;
    const status = await this.#target.status(location);
    if (!status) return NOTHING;
    if (!status.isFile()) return OTHER;
    const size = Number(status.size);
    if (trustTime && size === wanted.size && timestampNs(trustTime) === status.mtimeNs) return trusted(size);
    const matches = await compareContent(this.#target, location, wanted, this.#engine, signal);
    return fromMatches({ size, links: Number(status.nlink), matches }, wanted, options);
  }
}

const NOTHING: FoundFile = { kind: "nothing", size: 0, existing: undefined };
const OTHER: FoundFile = { kind: "other", size: 0, existing: undefined };

function trusted(size: number): FoundFile {
  return { kind: "file", size, existing: { sizeMatches: true, matches: undefined } };
}

interface Compared {
  readonly size: number;
  readonly links: number;
  readonly matches: Uint8Array | undefined;
}

function fromMatches(
  { size, links, matches }: Compared,
  wanted: WantedContent,
  { linksMatter = true }: ExamineOptions,
): FoundFile {
  if (!matches) return { kind: "file", size, existing: undefined };
  const existing = { sizeMatches: size === wanted.size, matches };
  // Writing into a file with other names would change those too: it has to be made anew, so nothing of it counts.
  const isLost = linksMatter && links > 1 && needsRestore(existing);
  return { kind: "file", size, existing: isLost ? undefined : existing };
}

async function examineTogether(
  addon: ExamineFunctions,
  target: TargetFolder,
  files: readonly SmallFile[],
): Promise<(FoundFile | Error)[]> {
  const lengthAndTime = new Float64Array(NUMBERS_OF_EXAMINED * files.length).fill(Number.NaN);
  let paths = "";
  for (const [i, { location, wanted, options }] of files.entries()) {
    const at = NUMBERS_OF_EXAMINED * i;
    paths += `${location.slice(1)}\0`;
    lengthAndTime[at] = wanted.size;
    if (!options.trustTime) continue;
    lengthAndTime[at + 1] = options.trustTime.seconds;
    lengthAndTime[at + 2] = options.trustTime.nanoseconds;
  }
  const [found, hashes] = await addon.examineFiles(target.root, textBytes(paths), lengthAndTime);
  return files.map((file, i) => {
    const result = foundOf(file, found, hashes, i);
    if (result instanceof Error) result.message += ` '${target.absolute(file.location)}'`;
    return result;
  });
}

/** @param number of the file among those that `examineFiles` was asked for */
function foundOf(
  { wanted, options }: SmallFile,
  numbers: Float64Array,
  hashes: Uint8Array,
  number: number,
): FoundFile | Error {
  const outcome = numbers[NUMBERS_OF_EXAMINED * number]!;
  const size = numbers[NUMBERS_OF_EXAMINED * number + 1]!;
  const links = numbers[NUMBERS_OF_EXAMINED * number + 2]!;
  switch (outcome) {
    case EXAMINED.nothing:
      return NOTHING;
    case EXAMINED.noFile:
      return OTHER;
    case EXAMINED.trusted:
      return trusted(size);
    case EXAMINED.unreadable:
      return fromMatches({ size, links, matches: undefined }, wanted, options);
    case EXAMINED.read: {
      const matches = new Uint8Array(wanted.content.length);
      if (matches.length > 0) matches[0] = isSame(wanted.content.bytes, hashes, ID_LENGTH * number) ? 1 : 0;
      return fromMatches({ size, links, matches }, wanted, options);
    }
    default: {
      const [code, words] = describeErrno(-outcome) ?? [`E${-outcome}`, "unknown error"];
      return Object.assign(new Error(`${code}: ${words}, lstat`), { code });
    }
  }
}

/** Views of both would take longer than the comparison. */
function isSame(id: Uint8Array, hashes: Uint8Array, at: number): boolean {
  for (let i = 0; i < ID_LENGTH; i++) if (id[i] !== hashes[at + i]) return false;
  return true;
}
