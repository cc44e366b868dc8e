import { formatId, type Id, idKey } from "../bytes/id.js";
import { decodeIndexFile } from "../format/index-file.js";
import type { Repository } from "../repository/repository.js";
import type { CheckHint, CheckProblem, CheckProgress } from "./check-options.js";

export interface IndexFindings {
  readonly problems: CheckProblem[];
  readonly hints: CheckHint[];
}

/**
 * Loads the index, and finds files of it that are damaged and packs that several of them list. What is loaded cannot tell
 * the latter: there, equal entries are one.
 */
export async function checkIndexFiles(
  repository: Repository,
  progress: CheckProgress,
  signal: AbortSignal | undefined,
): Promise<IndexFindings> {
  await repository.loadIndex({
    ...(signal && { signal }),
    progress: {
      set totalFiles(files: number) {
        progress.indexFilesTotal = files;
      },
      get loadedFiles() {
        return progress.indexFiles;
      },
      set loadedFiles(files: number) {
        progress.indexFiles = files;
      },
    },
  });
  const problems: CheckProblem[] = repository.indexProblems.map(({ id, error }) => ({
    kind: "index",
    id,
    error,
  }));
  const hints = await compareDuplicates(repository, packsOfSeveralFiles(repository), problems, signal);
  return { problems, hints };
}

/** The index files that list a pack, for packs that several list. */
function packsOfSeveralFiles(repository: Repository): Map<number, Set<Id>> {
  const files = repository.indexIds;
  /** The number of a file that lists a pack, by the pack's number; 1 more, 0 for none. */
  const first = new Uint32Array(repository.index.packEnd);
  const several = new Map<number, Set<Id>>();
  for (const [number, id] of files.entries()) {
    for (const pack of repository.packsOfIndexFile(id)!) {
      const before = first[pack]! - 1;
      if (before < 0) first[pack] = number + 1;
      else if (before !== number) several.set(pack, (several.get(pack) ?? new Set([files[before]!])).add(id));
    }
  }
  return several;
}

/** Looks again at packs that several files list: saying the same is harmless, saying different things is not. */
async function compareDuplicates(
  repository: Repository,
  listedBy: ReadonlyMap<number, Set<Id>>,
  problems: CheckProblem[],
  signal: AbortSignal | undefined,
): Promise<CheckHint[]> {
  const duplicates = new Map<string, { packId: Id; indexes: Id[]; contents: Set<string> }>();
  for (const [pack, files] of listedBy) {
    const packId = repository.index.packId(pack);
    duplicates.set(idKey(packId), { packId, indexes: [...files], contents: new Set() });
  }
  for (const id of new Set([...listedBy.values()].flatMap((files) => [...files]))) {
    const json = await repository.loadFile("index", id, signal);
    for (const [key, content] of contentsOf(json, duplicates)) duplicates.get(key)!.contents.add(content);
  }
  const hints: CheckHint[] = [];
  for (const { packId, indexes, contents } of duplicates.values()) {
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
