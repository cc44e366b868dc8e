import { messageOf, systemCodeOf } from "../errors.js";
import type { TakeSealed } from "../repository/pack-blobs.js";
import type { Repository } from "../repository/repository.js";
import type { BlobPlaces, PlannedBlob } from "./blob-places.js";
import type { FileCall, FileCallFailure, PartCall } from "./file-call.js";
import type { FileWriter, WrittenFile } from "./file-writer.js";
import { decodeFailures, ProgramMemory } from "./native-file-calls.js";
import type { SmallFiles } from "./small-files.js";
import type { TargetFolder } from "./target-folder.js";

export interface PartWriterOptions {
  readonly fileOf: (file: number) => WrittenFile;
  readonly writer: FileWriter;
  readonly sparse: boolean;
  /** A place has its content. */
  readonly onWritten: (place: number, isStatusSet: boolean) => Promise<void>;
  /** A place has it not, because of the file system. */
  readonly onFailed: (place: number, code: string, reason: string) => Promise<void>;
}

/** A program in the making: what each of its calls is for. */
interface Program {
  readonly calls: (FileCall | PartCall)[];
  /** The place that a call writes; -1 for what only enters a folder. */
  readonly places: number[];
  /** Position in the blobs. */
  readonly parts: number[];
  readonly held: WrittenFile[];
  /** Places whose file cannot be opened. */
  readonly refused: { readonly blob: PlannedBlob; readonly place: number; readonly cause: unknown }[];
}

/**
 * Writes blobs to their places straight from the pack: unsealed, verified and written in one hop of the addon, so that no
 * plaintext comes to JavaScript. A small file is one call (made, filled, given owner, times and mode), a piece of a large
 * one is a write into the open file.
 */
export class PartWriter {
  readonly #unseal: NonNullable<Repository["engine"]["unsealToFiles"]>;
  readonly #repository: Repository;
  readonly #target: TargetFolder;
  readonly #places: BlobPlaces;
  readonly #small: SmallFiles;
  readonly #options: PartWriterOptions;
  readonly #programs = new ProgramMemory();

  /** @returns `undefined` where the engine or the target cannot */
  static create(
    ...parameters: readonly [Repository, TargetFolder, BlobPlaces, SmallFiles, PartWriterOptions]
  ): PartWriter | undefined {
    const [{ engine }, target] = parameters;
    if (!engine.unsealToFiles || !target.isNative) return undefined;
    return new PartWriter(engine.unsealToFiles.bind(engine), ...parameters);
  }

  private constructor(
    unseal: NonNullable<Repository["engine"]["unsealToFiles"]>,
    repository: Repository,
    target: TargetFolder,
    places: BlobPlaces,
    small: SmallFiles,
    options: PartWriterOptions,
  ) {
    this.#unseal = unseal;
    this.#repository = repository;
    this.#target = target;
    this.#places = places;
    this.#small = small;
    this.#options = options;
  }

  /** The places of a blob that cannot be unsealed are not touched, and not told of. */
  readonly write: TakeSealed<PlannedBlob> = async (blobs, sealed, parts) => {
    const program: Program = { calls: [], places: [], parts: [], held: [], refused: [] };
    try {
      await this.#compose(program, blobs);
      const bytes = this.#programs.encode(program.calls);
      const { masterKey } = this.#repository;
      const result = await this.#unseal(masterKey, sealed, parts, this.#target.root, bytes);
      this.#programs.release(bytes);
      // A file that is complete is closed when that is told.
      this.#letGo(program);
      await this.#tell(program, result.failures, decodeFailures(result.callFailures));
      return result.failures;
    } finally {
      this.#letGo(program);
    }
  };

  /** Calls in the order of the blobs, so that each is unsealed once. */
  async #compose(program: Program, blobs: readonly PlannedBlob[]): Promise<void> {
    let folder = -1;
    for (const [part, blob] of blobs.entries()) {
      for (const place of blob.places) {
        const file = this.#places.fileOf(place);
        if (file >= 0) {
          await this.#addPiece(program, blob, place, part);
          continue;
        }
        const number = this.#small.folderNumber(~file);
        if (number !== folder) {
          const name = this.#target.relative(this.#small.folder(~file));
          add(program, { kind: "directory", name }, -1, part);
        }
        folder = number;
        const name = this.#small.name(~file);
        const status = this.#small.status(~file);
        add(program, { kind: "write-part", name, part, isSparse: this.#options.sparse, status }, place, part);
      }
    }
    for (const { blob, place, cause } of program.refused) {
      // Whoever finds another copy of the blob must not try again.
      blob.places.splice(blob.places.indexOf(place), 1);
      await this.#options.onFailed(place, systemCodeOf(cause) ?? "", messageOf(cause));
    }
  }

  async #addPiece(program: Program, blob: PlannedBlob, place: number, part: number): Promise<void> {
    const { writer, sparse, fileOf } = this.#options;
    const file = fileOf(this.#places.fileOf(place));
    try {
      const { file: opened, isBlank } = await writer.hold(file);
      program.held.push(file);
      const offset = this.#places.fileOffsetOf(place);
      const isSparse = sparse && isBlank;
      add(program, { kind: "piece", fd: opened.fd, offset, part, isSparse }, place, part);
    } catch (cause) {
      program.refused.push({ blob, place, cause });
    }
  }

  #letGo({ held }: Program): void {
    for (const file of held.splice(0)) this.#options.writer.letGo(file);
  }

  async #tell(
    { calls, places, parts }: Program,
    unsealed: Awaited<ReturnType<TakeSealed>>,
    failures: readonly FileCallFailure[],
  ): Promise<void> {
    const failed = new Map(failures.map((failure) => [failure.position, failure]));
    let folderFailure: FileCallFailure | undefined;
    for (const [position, place] of places.entries()) {
      const failure = failed.get(position);
      if (place < 0) {
        folderFailure = failure;
        continue;
      }
      // A blob that was not written is written, or told of, by whoever finds another copy of it.
      if (unsealed[parts[position]!] !== undefined) continue;
      const isPiece = calls[position]!.kind === "piece";
      const cause = failure?.isWritten ? undefined : (failure ?? (isPiece ? undefined : folderFailure));
      if (cause) await this.#options.onFailed(place, cause.code, cause.reason);
      else await this.#options.onWritten(place, !failure?.isWritten);
    }
  }
}

function add(
  { calls, places, parts }: Program,
  call: FileCall | PartCall,
  place: number,
  part: number,
): void {
  calls.push(call);
  places.push(place);
  parts.push(part);
}
