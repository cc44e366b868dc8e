/**
 * Takes apart packs that are damaged: what is still good in them moves to new packs, then the index lets go of them, then
 * they are removed. Whatever stops it on the way, nothing is lost that was not lost before.
 */

import { formatId, type Id, idKey } from "../bytes/id.js";
import { messageOf, NotFoundError, throwIfAborted, YoreError } from "../errors.js";
import type { IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import type { Repository } from "../repository/repository.js";
import { repack } from "./repack.js";
import { removeFiles, rewriteIndex } from "./rewrite-index.js";

export type RepairPacksEvent =
  | { readonly type: "phase"; readonly phase: "salvage" | "index" | "remove" }
  /** Neither the index nor the pack itself knows what is in it. */
  | { readonly type: "empty"; readonly packId: Id }
  /** No pack has the blob whole. */
  | { readonly type: "lost"; readonly blob: PackedBlob; readonly packId: Id; readonly error: YoreError }
  | { readonly type: "not-removed"; readonly packId: Id; readonly error: YoreError };

export interface RepairPacksProgress {
  packs: number;
  packsTotal: number;
}

export interface RepairPacksWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RepairPacksProgress | undefined;
  readonly on?: ((event: RepairPacksEvent) => void) | undefined;
}

export interface RepairPacksResult {
  readonly packs: number;
  readonly salvagedBlobs: number;
  readonly lostBlobs: number;
}

/** Repairs packs. The index must be loaded; the caller holds the exclusive lock, and has copies of the packs. */
export async function repairPacks(
  repository: Repository,
  packIds: readonly Id[],
  watch: RepairPacksWatch = {},
): Promise<RepairPacksResult> {
  const { signal } = watch;
  watch.on?.({ type: "phase", phase: "salvage" });
  if (watch.progress) watch.progress.packsTotal = packIds.length;
  const packs = await findBlobs(repository, packIds, signal);
  for (const { packId, blobs } of packs) if (blobs.length === 0) watch.on?.({ type: "empty", packId });
  const lost: { readonly blob: PackedBlob; readonly packId: Id; readonly error: YoreError }[] = [];
  const requireLost = (error: YoreError) => {
    throwIfAborted(signal);
    // What a disk that does not answer holds may be whole.
    if (!["damaged", "not-found", "format"].includes(error.code)) throw error;
  };
  await repack(repository, packs, {
    signal,
    onPack: () => {
      if (watch.progress) watch.progress.packs++;
    },
    onLost: (blob, packId, error) => {
      requireLost(error);
      lost.push({ blob, packId, error });
    },
  });
  const names = new Set(lost.map(({ blob }) => nameOf(blob)));
  const elsewhere = packs
    .map(({ packId, elsewhere: blobs }) => ({ packId, blobs: blobs.filter((one) => names.has(nameOf(one))) }))
    .filter(({ blobs }) => blobs.length > 0);
  await repack(repository, elsewhere, { signal, onLost: (_, __, error) => requireLost(error) });
  const { index } = repository;
  const gone = new Set(packIds.map((id) => index.packNumber(id)));
  const isSaved = ({ type, id }: PackedBlob) =>
    index.lookupAll(type, id).some(({ packId }) => !gone.has(index.packNumber(packId)));
  let lostBlobs = 0;
  for (const { blob, packId, error } of lost) {
    if (isSaved(blob)) continue;
    lostBlobs++;
    watch.on?.({ type: "lost", blob, packId, error });
  }
  watch.on?.({ type: "phase", phase: "index" });
  await rewriteIndex(repository, (pack) => gone.has(pack), { signal });
  watch.on?.({ type: "phase", phase: "remove" });
  await removeFiles(repository, "pack", packIds, {
    signal,
    onFailed: (packId, error) => watch.on?.({ type: "not-removed", packId, error }),
  });
  const blobs = packs.reduce((sum, pack) => sum + pack.blobs.length, 0);
  return { packs: packIds.length, salvagedBlobs: blobs - lostBlobs, lostBlobs };
}

interface FoundPack extends IndexedPack {
  /** Of these blobs the pack itself says that they lie elsewhere, or have another length, than the index says. */
  readonly elsewhere: readonly PackedBlob[];
}

/** What the index has in the packs; and what only they themselves know, as long as the end of the pack can be read. */
async function findBlobs(
  repository: Repository,
  packIds: readonly Id[],
  signal: AbortSignal | undefined,
): Promise<FoundPack[]> {
  const found = new Map<string, PackedBlob[]>(packIds.map((id) => [idKey(id), []]));
  const numbers = new Set(packIds.map((id) => repository.index.packNumber(id)));
  for (const { packId, blobs } of repository.index.packs({ pack: (pack) => numbers.has(pack) }))
    found.get(idKey(packId))?.push(...blobs);
  const packs: FoundPack[] = [];
  for (const packId of packIds) {
    const blobs = found.get(idKey(packId))!;
    const known = new Set(blobs.map(nameOf));
    const places = new Set(blobs.map(placeOf));
    const elsewhere: PackedBlob[] = [];
    for (const blob of await headerOf(repository, packId, signal)) {
      if (!known.has(nameOf(blob))) blobs.push(blob);
      else if (!places.has(placeOf(blob))) elsewhere.push(blob);
    }
    packs.push({ packId, blobs, elsewhere });
  }
  return packs;
}

function nameOf({ type, id }: PackedBlob): string {
  return `${type} ${idKey(id)}`;
}

function placeOf(blob: PackedBlob): string {
  return `${nameOf(blob)} ${blob.offset} ${blob.length} ${blob.uncompressedLength}`;
}

async function headerOf(
  repository: Repository,
  packId: Id,
  signal: AbortSignal | undefined,
): Promise<PackedBlob[]> {
  try {
    const { size } = await repository.backend.stat({ type: "pack", name: formatId(packId) });
    return await repository.readPackHeader(packId, size, signal);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof YoreError && ["damaged", "not-found"].includes(error.code)) return [];
    throw error;
  }
}

/**
 * The bytes of a pack as they are, right or wrong. @throws {NotFoundError} if there is none
 */
export async function loadDamagedPack(
  repository: Repository,
  packId: Id,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  try {
    return await repository.backend.load({ type: "pack", name: formatId(packId) }, signal ? { signal } : {});
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError(`Cannot load pack ${formatId(packId)}: ${messageOf(error)}`, { cause: error });
  }
}
