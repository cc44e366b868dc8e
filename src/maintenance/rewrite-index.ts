import { forEachConcurrently } from "../async/map-concurrently.js";
import { formatId, type Id } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { IndexedPack } from "../format/index-file.js";
import type { Repository } from "../repository/repository.js";
import type { NamedFileType } from "../repository/repository-files.js";

/** As many blobs as restic puts into an index file; of small files one is made while there is need to make one. */
const FULL_INDEX_BLOBS = 50_000;

export interface RewriteIndexWatch {
  readonly signal?: AbortSignal | undefined;
  /** Old index files whose content was saved anew, before the first of them is removed. */
  readonly onSaving?: (files: number) => void;
  readonly onSaved?: (id: Id) => void;
  readonly onRemoving?: (files: number) => void;
  readonly onRemoved?: (id: Id) => void;
}

/**
 * Takes packs out of the index: saves what else their index files list in new ones, and removes the old ones only then.
 * A pack that several files list is listed once afterwards. Files that need no change stay, unless they are small.
 *
 * @param isGone by pack number of the index
 */
export async function rewriteIndex(
  repository: Repository,
  isGone: (pack: number) => boolean,
  watch: RewriteIndexWatch = {},
): Promise<void> {
  const old = chooseIndexFiles(repository, isGone);
  if (old.length === 0) return;
  const isListed = new Uint8Array(repository.index.packEnd);
  for (const id of old) for (const pack of repository.packsOfIndexFile(id) ?? []) isListed[pack] = 1;
  watch.onSaving?.(old.length);
  const packs = repository.index.packs({ pack: (pack) => isListed[pack] === 1 && !isGone(pack) });
  await saveIndexFiles(repository, packs, watch);
  requireListed(repository, old, isGone);
  watch.onRemoving?.(old.length);
  await removeFiles(repository, "index", old, watch);
}

/** What old index files list, and is not gone, must be listed by others before they are removed. */
function requireListed(repository: Repository, old: readonly Id[], isGone: (pack: number) => boolean): void {
  const oldNames = new Set(old.map(formatId));
  const isSafe = new Uint8Array(repository.index.packEnd);
  for (const id of repository.indexIds)
    if (!oldNames.has(formatId(id)))
      for (const pack of repository.packsOfIndexFile(id) ?? []) isSafe[pack] = 1;
  for (const id of old)
    for (const pack of repository.packsOfIndexFile(id) ?? [])
      if (isSafe[pack] === 0 && !isGone(pack) && !repository.index.isEmptyPack(pack))
        throw new Error(`pack ${formatId(repository.index.packId(pack))} would have left the index`);
}

/** Saves packs that the index in memory knows in as few new files as there should be. */
export async function saveIndexFiles(
  repository: Repository,
  packs: Iterable<IndexedPack>,
  watch: Pick<RewriteIndexWatch, "signal" | "onSaved"> = {},
): Promise<void> {
  const writer = new IndexWriter(async (batch) => {
    throwIfAborted(watch.signal);
    const id = await repository.saveIndexFile(batch);
    watch.onSaved?.(id);
  });
  for (const pack of packs) await writer.add(pack);
  await writer.finish();
}

/** Gathers packs until there are enough for an index file. */
export class IndexWriter {
  readonly #save: (packs: readonly IndexedPack[]) => Promise<void>;
  #batch: IndexedPack[] = [];
  #blobs = 0;

  constructor(save: (packs: readonly IndexedPack[]) => Promise<void>) {
    this.#save = save;
  }

  async add(pack: IndexedPack): Promise<void> {
    if (pack.blobs.length === 0) return;
    if (this.#blobs > 0 && this.#blobs + pack.blobs.length > FULL_INDEX_BLOBS) await this.finish();
    this.#batch.push(pack);
    this.#blobs += pack.blobs.length;
  }

  async finish(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#blobs = 0;
    if (batch.length > 0) await this.#save(batch);
  }
}

/**
 * The index files that list what is gone, or what another file lists as well; and when there are any, or several small
 * ones, all that could be part of a larger one.
 */
export function chooseIndexFiles(
  repository: Repository,
  isGone: (pack: number) => boolean,
  options: { readonly joinSmall?: boolean } = {},
): Id[] {
  const { index } = repository;
  const listings = new Uint8Array(index.packEnd);
  const ids = repository.indexIds;
  for (const id of ids)
    for (const pack of repository.packsOfIndexFile(id) ?? []) if (listings[pack]! < 2) listings[pack]!++;
  const blobsOf = new Uint32Array(index.packEnd);
  for (let entry = 0; entry < index.entryEnd; entry++) blobsOf[index.packOf(entry)]!++;
  const chosen: Id[] = [];
  const small: Id[] = [];
  for (const id of ids) {
    const packs = repository.packsOfIndexFile(id) ?? new Uint32Array(0);
    const blobs = packs.reduce((sum, pack) => sum + blobsOf[pack]!, 0);
    if (packs.some((pack) => isGone(pack) || listings[pack]! > 1)) chosen.push(id);
    else if (blobs < FULL_INDEX_BLOBS / 2) small.push(id);
  }
  const isWorthIt = chosen.length > 0 || (options.joinSmall === true && small.length > 1);
  return isWorthIt ? [...chosen, ...small] : [];
}

export interface RemoveFilesWatch {
  readonly signal?: AbortSignal | undefined;
  readonly onRemoved?: (id: Id) => void;
  /** Told of a file that stays; without it the first one fails the removal. */
  readonly onFailed?: (id: Id, error: YoreError) => void;
}

/** Removes files, several at a time. One that is gone already counts as removed. */
export async function removeFiles(
  repository: Repository,
  type: NamedFileType,
  ids: readonly Id[],
  watch: RemoveFilesWatch = {},
): Promise<void> {
  const remove = async (id: Id) => {
    try {
      await repository.removeFile(type, id);
    } catch (error) {
      throwIfAborted(watch.signal);
      if (!(error instanceof YoreError) || error.code === "locked") throw error;
      if (error.code !== "not-found") {
        if (!watch.onFailed) throw cannotRemove(type, id, error);
        watch.onFailed(id, error);
        return;
      }
    }
    watch.onRemoved?.(id);
  };
  await forEachConcurrently(ids, Math.max(2, repository.backend.connections), remove, watch.signal);
}

function cannotRemove(type: NamedFileType, id: Id, cause: YoreError): YoreError {
  return new YoreError(cause.code, cause.message, { cause, hint: `The file is ${type} ${formatId(id)}` });
}
