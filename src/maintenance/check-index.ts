import { forEachConcurrently } from "../async/map-concurrently.js";
import { formatId, type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import { decodeIndexFile } from "../format/index-file.js";
import type { Repository } from "../repository/repository.js";
import type { CheckHint, CheckProblem, CheckProgress } from "./check-options.js";

const LOADED_AT_ONCE = 4;

export interface IndexFindings {
  readonly problems: CheckProblem[];
  readonly hints: CheckHint[];
}

/**
 * Reads every index file by itself, to find those that are damaged and packs that several of them list. The index in
 * memory cannot tell: there, equal entries are one.
 */
export async function checkIndexFiles(
  repository: Repository,
  progress: CheckProgress,
  signal: AbortSignal | undefined,
): Promise<IndexFindings> {
  const files: Id[] = [];
  for await (const { id } of repository.listFiles("index")) files.push(id);
  progress.indexFilesTotal = files.length;
  const problems: CheckProblem[] = [];
  const damaged = new Set<number>();
  /** The numbers of the files that list a pack; a plain number while it is one, as it nearly always is. */
  const listedBy = new Map<string, number | Set<number>>();
  await forEachConcurrently(
    files.keys(),
    LOADED_AT_ONCE,
    async (number) => {
      const id = files[number]!;
      try {
        const json = await repository.loadFile("index", id, signal);
        decodeIndexFile(
          json,
          { pack: (packId) => note(listedBy, packId, number), blob: () => {} },
          { version: repository.config.version },
        );
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof YoreError)) throw error;
        problems.push({ kind: "index", id, error });
        damaged.add(number);
      }
      progress.indexFiles++;
    },
    signal,
  );
  const hints = await compareDuplicates(repository, files, withoutFiles(listedBy, damaged), problems, signal);
  return { problems, hints };
}

function note(listedBy: Map<string, number | Set<number>>, packId: Id, number: number): void {
  const key = idKey(packId);
  const before = listedBy.get(key);
  if (before === undefined) listedBy.set(key, number);
  else if (typeof before !== "number") before.add(number);
  else if (before !== number) listedBy.set(key, new Set([before, number]));
}

/** What a damaged file had listed before the damage says nothing: it is told of already, and cannot be read again. */
function withoutFiles(
  listedBy: ReadonlyMap<string, number | Set<number>>,
  damaged: ReadonlySet<number>,
): ReadonlyMap<string, Set<number>> {
  const whole = new Map<string, Set<number>>();
  for (const [key, numbers] of listedBy) {
    if (typeof numbers === "number") continue;
    const left = new Set([...numbers].filter((number) => !damaged.has(number)));
    if (left.size > 1) whole.set(key, left);
  }
  return whole;
}

/** Looks again at packs that several files list: saying the same is harmless, saying different things is not. */
async function compareDuplicates(
  repository: Repository,
  files: readonly Id[],
  listedBy: ReadonlyMap<string, Set<number>>,
  problems: CheckProblem[],
  signal: AbortSignal | undefined,
): Promise<CheckHint[]> {
  const duplicates = new Map<string, { numbers: Set<number>; contents: Set<string> }>();
  for (const [key, numbers] of listedBy) duplicates.set(key, { numbers, contents: new Set() });
  const involved = new Set([...duplicates.values()].flatMap(({ numbers }) => [...numbers]));
  for (const number of involved) {
    const json = await repository.loadFile("index", files[number]!, signal);
    for (const [key, content] of contentsOf(json, duplicates)) duplicates.get(key)!.contents.add(content);
  }
  const hints: CheckHint[] = [];
  for (const [key, { numbers, contents }] of duplicates) {
    const packId = Uint8Array.from(Buffer.from(key, "latin1")) as Id;
    const indexes = [...numbers].map((number) => files[number]!);
    if (contents.size > 1) problems.push({ kind: "index-conflict", packId, indexes });
    else hints.push({ kind: "duplicate-pack", packId, indexes });
  }
  return hints;
}

/** What one index file says about packs, as a text that is equal when it says the same. */
function contentsOf(json: Uint8Array, wanted: ReadonlyMap<string, unknown>): Map<string, string> {
  const blobs = new Map<string, string[]>();
  let current: string[] | undefined;
  decodeIndexFile(json, {
    pack: (packId) => {
      const key = idKey(packId);
      current = undefined;
      if (!wanted.has(key)) return;
      current = blobs.get(key) ?? [];
      blobs.set(key, current);
    },
    blob: (type, id, ...place) => current?.push(`${type} ${formatId(id)} ${place.join(" ")}`),
  });
  return new Map(Array.from(blobs, ([key, lines]) => [key, lines.sort().join("\n")]));
}
