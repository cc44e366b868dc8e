import { DamagedError, NotFoundError, throwIfAborted } from "../errors.js";
import {
  type Backend,
  type FileInfo,
  type FileType,
  formatHandle,
  type Handle,
  type LoadRange,
} from "./backend.js";

/**
 * A repository in memory: for tests, for trying things out, and as the shortest description of what a backend
 * is.
 */
export class MemoryBackend implements Backend {
  readonly location: string;
  readonly connections: number;
  readonly listsAtOnce = true;
  readonly #files = new Map<FileType, Map<string, Uint8Array>>();

  constructor(options: { readonly location?: string; readonly connections?: number } = {}) {
    this.location = options.location ?? "memory:";
    this.connections = options.connections ?? 4;
  }

  async create(): Promise<void> {}

  async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    this.#folder(handle.type).set(handle.name, Buffer.concat(pieces));
  }

  async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    throwIfAborted(range.signal);
    const bytes = this.#find(handle);
    const offset = range.offset ?? 0;
    const left = Math.max(0, bytes.length - offset);
    const length = range.upTo ? Math.min(range.length ?? left, left) : (range.length ?? left);
    if (!range.upTo && offset + length > bytes.length)
      throw new DamagedError(
        `Cannot load ${formatHandle(handle)}: file is too short, wanted ${length} bytes at offset ${offset}, ` +
          `but it ends at ${bytes.length}`,
      );
    return Buffer.from(bytes.subarray(offset, offset + length));
  }

  async stat(handle: Handle): Promise<FileInfo> {
    return { name: handle.name, size: this.#find(handle).length };
  }

  async *list(type: FileType): AsyncIterable<FileInfo> {
    for (const [name, bytes] of [...this.#folder(type)]) yield { name, size: bytes.length };
  }

  async remove(handle: Handle): Promise<void> {
    this.#find(handle);
    this.#folder(handle.type).delete(handle.name);
  }

  async close(): Promise<void> {}

  #find(handle: Handle): Uint8Array {
    const bytes = this.#folder(handle.type).get(handle.name);
    if (!bytes) throw new NotFoundError(`Cannot load ${formatHandle(handle)}: file does not exist`);
    return bytes;
  }

  #folder(type: FileType): Map<string, Uint8Array> {
    let folder = this.#files.get(type);
    if (!folder) {
      folder = new Map();
      this.#files.set(type, folder);
    }
    return folder;
  }
}
