import { constants, read } from "node:fs";
import { promisify } from "node:util";
import { awaitedLater } from "../async/awaited-later.js";
import { Semaphore } from "../async/semaphore.js";
import type { IdList } from "../bytes/id.js";
import { ID_LENGTH } from "../bytes/id.js";
import { systemCodeOf, throwIfAborted } from "../errors.js";
import type { Repository } from "../repository/repository.js";
import type { OpenTargetFile, TargetFolder } from "./target-folder.js";

const readAsync = promisify(read);
/** Bytes that are read and hashed in one go. */
const GROUP_BYTES = 4 * 1024 * 1024;
/** Files of more than one group that are compared at a time: two groups of each are in memory. */
const largeFiles = new Semaphore(2);

/** What the content of a file should be. */
export interface WantedContent {
  readonly content: IdList;
  /** Plaintext length of each blob. */
  readonly lengths: readonly number[];
  /** Sum of the lengths. */
  readonly size: number;
}

/** What is needed of the engine. */
export type Hasher = Pick<Repository["engine"], "hashAll">;

/** What a file that is there has in common with what it should be. */
export interface ExistingFile {
  readonly sizeMatches: boolean;
  /** 1 for each blob that is in its place; `undefined` when all are, by size and time alone. */
  readonly matches: Uint8Array | undefined;
}

/** Whether something has to be written. */
export function needsRestore(existing: ExistingFile | undefined): boolean {
  return !existing?.sizeMatches || (existing.matches?.includes(0) ?? false);
}

/** Blob by blob, 1 where the file has the right bytes. `undefined` when it cannot be opened. */
export async function compareContent(
  target: TargetFolder,
  location: string,
  wanted: WantedContent,
  engine: Hasher,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const file = await openToRead(target, location).catch(() => undefined);
  if (!file) return undefined;
  try {
    const matches = new Uint8Array(wanted.content.length);
    const groups = groupBlobs(wanted);
    const compare = () => compareGroups(file.fd, groups, wanted, engine, matches, signal);
    await (groups.length > 1 ? largeFiles.run(compare) : compare());
    return matches;
  } finally {
    await file.close();
  }
}

/** Leaves the time of last access as it is, where it may. */
async function openToRead(target: TargetFolder, location: string): Promise<OpenTargetFile> {
  const { O_NOATIME = 0, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  try {
    return await target.open(location, flags | O_NOATIME);
  } catch (error) {
    if (systemCodeOf(error) !== "EPERM") throw error;
    // Somebody else's file.
    return target.open(location, flags);
  }
}

/** Neighbouring blobs of a file, which are read together. */
interface Group {
  readonly first: number;
  readonly end: number;
  readonly offset: number;
  readonly bytes: number;
}

/** At most `GROUP_BYTES` each, or one larger blob. */
function groupBlobs({ lengths }: WantedContent): Group[] {
  const groups: Group[] = [];
  for (let first = 0, offset = 0; first < lengths.length; ) {
    let end = first;
    let bytes = 0;
    do bytes += lengths[end++]!;
    while (end < lengths.length && bytes + lengths[end]! <= GROUP_BYTES);
    groups.push({ first, end, offset, bytes });
    offset += bytes;
    first = end;
  }
  return groups;
}

/** Reads one group while the one before it is hashed, each into its own half of the memory. */
async function compareGroups(
  fd: number,
  groups: readonly Group[],
  wanted: WantedContent,
  engine: Hasher,
  matches: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const largest = groups.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  const halves = groups.slice(0, 2).map(() => Buffer.allocUnsafeSlow(largest));
  const read = (i: number) => {
    const group = groups[i];
    return group
      ? awaitedLater(readFully(fd, group.offset, halves[i % 2]!.subarray(0, group.bytes)))
      : undefined;
  };
  let reading = read(0);
  try {
    for (const [i, group] of groups.entries()) {
      throwIfAborted(signal);
      const data = (await reading)!;
      reading = read(i + 1);
      await compareGroup(wanted, group.first, group.end, data, engine, matches);
      if (data.length < group.bytes) return;
    }
  } finally {
    // The file is closed next.
    await reading?.catch(() => {});
  }
}

async function compareGroup(
  wanted: WantedContent,
  first: number,
  end: number,
  data: Buffer,
  engine: Hasher,
  matches: Uint8Array,
): Promise<void> {
  const pieces: Buffer[] = [];
  for (let i = first, at = 0; i < end; at += wanted.lengths[i++]!) {
    if (at + wanted.lengths[i]! > data.length) break;
    pieces.push(data.subarray(at, at + wanted.lengths[i]!));
  }
  if (pieces.length === 0) return;
  const { bytes } = await engine.hashAll(pieces);
  for (let i = 0; i < pieces.length; i++) {
    const found = bytes.subarray(i * ID_LENGTH, (i + 1) * ID_LENGTH);
    matches[first + i] = Buffer.compare(found, wanted.content.at(first + i)) === 0 ? 1 : 0;
  }
}

/** What of the buffer was filled: less than all of it only at the end of the file. */
async function readFully(fd: number, offset: number, buffer: Buffer): Promise<Buffer> {
  let have = 0;
  while (have < buffer.length) {
    const { bytesRead } = await readAsync(fd, buffer, have, buffer.length - have, offset + have);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return buffer.subarray(0, have);
}
