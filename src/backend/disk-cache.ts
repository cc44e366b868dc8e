import { createHash, timingSafeEqual } from "node:crypto";
import { mkdir, readFile, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { append } from "../bytes/append.js";
import { isHexId } from "../bytes/id.js";
import { makeFolders } from "../bytes/make-folders.js";
import { systemPath } from "../bytes/system-path.js";
import { FormatError, messageOf, systemCodeOf, YoreError } from "../errors.js";
import type { FileType } from "./backend.js";
import { finishedIn, namesIn, readRange, removeTree, writeWhole } from "./disk-cache-files.js";
import { FOLDERS } from "./local-layout.js";

/** What a cache keeps whole, in restic's folders. */
export type CachedType = Extract<FileType, "index" | "snapshot" | "pack">;

const CACHED_TYPES: readonly CachedType[] = ["index", "snapshot", "pack"];

/** The only version of the layout that there is. */
const VERSION = "1";

/** Says to programs that make backups that this can be left out (bford.info/cachedir). */
const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by restic and yore.
# For information about cache directory tags, see:
#	https://bford.info/cachedir/
`;

/** Parts of packs lie beside restic's folders, where restic does not look. */
const PARTS_FOLDER = "yore-parts";
const HASH_BYTES = 32;

/** When the limit is reached, so much goes that not every write has to make room. */
const MAKE_ROOM = 0.9;

export interface DiskCacheOptions {
  /** Bytes of packs and parts of packs; the least recently used go first. No limit when left out. */
  readonly maxBytes?: number | undefined;
}

interface Entry {
  readonly path: string;
  readonly bytes: number;
  usedMs: number;
}

/** A part of a pack: from, and how many bytes. */
interface CachedPart extends Entry {
  readonly offset: number;
  readonly length: number;
}

/** A file, or a part of it, on its way to the disk. */
interface Saving {
  readonly type: CachedType;
  readonly name: string;
  isForgotten: boolean;
}

/**
 * Files of one repository on the local disk, laid out as restic lays them out, so that both programs share them:
 *
 *     BASE/CACHEDIR.TAG
 *     BASE/<repository ID>/version
 *     BASE/<repository ID>/{data,index,snapshots}/<first 2 hex>/<64 hex>     whole files
 *     BASE/<repository ID>/yore-parts/<64 hex>/<offset>-<length>             parts of packs, SHA-256 behind them
 *
 * What is read was verified: whole files against their names, packs once in the life of this object, parts against their
 * hash. What is wrong is removed and counts as not there. A disk that is full or broken makes the cache useless, never
 * an operation fail. Memory: some 200 bytes for each pack and part.
 */
export class DiskCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #packs = new Map<string, Entry>();
  readonly #parts = new Map<string, CachedPart[]>();
  /** Whole files whose hash was compared with their name. */
  readonly #verified = new Set<string>();
  /** What is being written: what is forgotten meanwhile must not be kept after all. */
  readonly #saving = new Set<Saving>();
  #bytes = 0;
  #makingRoom: Promise<void> | undefined;

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /**
   * @param base may be shared by many repositories
   * @param repositoryId 64 hex digits
   * @throws {YoreError} when the folder cannot be made or written, or was laid out by another version: then there is none
   */
  static async open(base: string, repositoryId: string, options: DiskCacheOptions = {}): Promise<DiskCache> {
    const folder = join(base, repositoryId);
    try {
      await makeFolders(systemPath(base), 0o700);
      await writeFile(systemPath(join(base, "CACHEDIR.TAG")), TAG, { flag: "wx", mode: 0o644 }).catch(
        unlessThere,
      );
      for (const type of CACHED_TYPES) await makeFolders(systemPath(join(folder, FOLDERS[type])), 0o700);
      await requireVersion(join(folder, "version"));
      const now = new Date();
      // What is old is told by this time, by restic too.
      await utimes(systemPath(folder), now, now);
      const cache = new DiskCache(folder, options.maxBytes ?? Number.POSITIVE_INFINITY);
      await cache.#take();
      return cache;
    } catch (cause) {
      throw new YoreError("backend", `Cannot open cache "${folder}": ${messageOf(cause)}`, { cause });
    }
  }

  /** Bytes of packs and parts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is a pack here, or parts of it. */
  keepsOf(name: string): boolean {
    return this.#packs.has(name) || this.#parts.has(name);
  }

  /** A whole file; `undefined` when it is not there, or was wrong. */
  async load(type: CachedType, name: string): Promise<Buffer | undefined> {
    const path = this.#pathOf(type, name);
    try {
      const bytes = await readFile(systemPath(path));
      if (type !== "pack" || !this.#verified.has(path)) {
        if (createHash("sha256").update(bytes).digest("hex") !== name) {
          await this.forget(type, name);
          return undefined;
        }
        this.#verified.add(path);
      }
      this.#touch(this.#packs.get(name));
      return bytes;
    } catch {
      if (type === "pack") this.#drop(name);
      return undefined;
    }
  }

  /** Bytes of a pack that is here whole, or in a part that holds them all. */
  async loadRange(name: string, offset: number, length: number): Promise<Buffer | undefined> {
    if (this.#packs.has(name)) {
      const path = this.#pathOf("pack", name);
      // The first time, the whole of it is read to be verified.
      if (!this.#verified.has(path)) {
        const whole = await this.load("pack", name);
        if (whole && offset + length <= whole.length) return whole.subarray(offset, offset + length);
      } else {
        const bytes = await readRange(path, offset, length);
        if (bytes) this.#touch(this.#packs.get(name));
        if (bytes) return bytes;
      }
    }
    return this.#loadPart(name, offset, length);
  }

  /** Those of these names under which there is no file here. */
  async missing(type: CachedType, names: readonly string[]): Promise<string[]> {
    const here = new Set(await this.#list(type));
    return names.filter((name) => !here.has(name));
  }

  /** Keeps a whole file. Never fails. */
  async save(type: CachedType, name: string, pieces: readonly Uint8Array[]): Promise<void> {
    const path = this.#pathOf(type, name);
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (!(await this.#write({ type, name, isForgotten: false }, path, pieces))) return;
    if (type === "pack") this.#add(name, { path, bytes, usedMs: Date.now() });
  }

  /** Keeps a part of a pack. Never fails. */
  async savePart(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const path = join(this.#folder, PARTS_FOLDER, name, `${offset}-${bytes.length}`);
    const hash = createHash("sha256").update(bytes).digest();
    if (!(await this.#write({ type: "pack", name, isForgotten: false }, path, [bytes, hash]))) return;
    const part = { path, bytes: bytes.length + HASH_BYTES, usedMs: Date.now(), offset, length: bytes.length };
    // Two readers may have loaded the same at once.
    const before = this.#parts.get(name)?.find((one) => one.path === path);
    if (before) this.#dropPart(name, before);
    const parts = this.#parts.get(name) ?? [];
    parts.push(part);
    this.#parts.set(name, parts);
    this.#bytes += part.bytes;
    this.#makeRoom();
  }

  /** Forgets the parts of a pack in which one of these bytes is. */
  async forgetParts(name: string, offset: number, length: number): Promise<void> {
    this.#forgetSaving("pack", name);
    const doomed = (this.#parts.get(name) ?? []).filter(
      (part) => part.offset < offset + length && offset < part.offset + part.length,
    );
    for (const part of doomed)
      if (this.#dropPart(name, part)) await unlink(systemPath(part.path)).catch(() => {});
  }

  async forget(type: CachedType, name: string): Promise<void> {
    const path = this.#pathOf(type, name);
    this.#verified.delete(path);
    this.#forgetSaving(type, name);
    if (type === "pack") {
      this.#drop(name);
      for (const part of this.#parts.get(name) ?? []) this.#bytes -= part.bytes;
      if (this.#parts.delete(name)) await removeTree(join(this.#folder, PARTS_FOLDER, name));
    }
    await unlink(systemPath(path)).catch(() => {});
  }

  /** Forgets what the repository has no more. */
  async retain(type: CachedType, names: ReadonlySet<string>): Promise<void> {
    const cached = type === "pack" ? [...this.#packs.keys(), ...this.#parts.keys()] : await this.#list(type);
    for (const name of cached) if (!names.has(name)) await this.forget(type, name);
  }

  /** Waits for what is being removed. */
  async close(): Promise<void> {
    while (this.#makingRoom) await this.#makingRoom;
  }

  #forgetSaving(type: CachedType, name: string): void {
    for (const saving of this.#saving)
      if (saving.type === type && saving.name === name) saving.isForgotten = true;
  }

  #pathOf(type: CachedType, name: string): string {
    return join(this.#folder, FOLDERS[type], name.slice(0, 2), name);
  }

  async #loadPart(name: string, offset: number, length: number): Promise<Buffer | undefined> {
    const parts = this.#parts.get(name) ?? [];
    const part = parts.find((one) => one.offset <= offset && offset + length <= one.offset + one.length);
    if (!part) return undefined;
    const whole = await readRange(part.path, 0, part.bytes);
    const content = whole?.subarray(0, part.length);
    if (
      !whole ||
      !content ||
      !timingSafeEqual(createHash("sha256").update(content).digest(), whole.subarray(part.length))
    ) {
      if (this.#dropPart(name, part)) await unlink(systemPath(part.path)).catch(() => {});
      return undefined;
    }
    this.#touch(part);
    return content.subarray(offset - part.offset, offset - part.offset + length);
  }

  /** @returns whether it is there, and still wanted */
  async #write(saving: Saving, path: string, pieces: readonly Uint8Array[]): Promise<boolean> {
    this.#saving.add(saving);
    try {
      await mkdir(systemPath(dirname(path)), { recursive: true, mode: 0o700 });
      await writeWhole(path, pieces);
    } catch {
      return false;
    } finally {
      this.#saving.delete(saving);
    }
    if (saving.isForgotten) await unlink(systemPath(path)).catch(() => {});
    return !saving.isForgotten;
  }

  #add(name: string, entry: Entry): void {
    this.#drop(name);
    this.#packs.set(name, entry);
    this.#bytes += entry.bytes;
    this.#makeRoom();
  }

  #drop(name: string): void {
    const entry = this.#packs.get(name);
    if (entry) this.#bytes -= entry.bytes;
    this.#packs.delete(name);
  }

  /** @returns whether it was still there: whoever waited for the disk may find that another has dropped it */
  #dropPart(name: string, part: CachedPart): boolean {
    const parts = this.#parts.get(name) ?? [];
    const at = parts.indexOf(part);
    if (at < 0) return false;
    parts.splice(at, 1);
    if (parts.length === 0) this.#parts.delete(name);
    this.#bytes -= part.bytes;
    return true;
  }

  /** The time of a file says when it was last used, to the next process as well. */
  #touch(entry: Entry | undefined): void {
    if (!entry) return;
    const now = Date.now();
    if (now - entry.usedMs > 60_000)
      void utimes(systemPath(entry.path), now / 1000, now / 1000).catch(() => {});
    entry.usedMs = now;
  }

  #makeRoom(): void {
    if (this.#bytes <= this.#maxBytes) return;
    this.#makingRoom ??= this.#removeOldest().then((hasRemoved) => {
      this.#makingRoom = undefined;
      // More may have come meanwhile.
      if (hasRemoved) this.#makeRoom();
    });
  }

  /** Never rejects. @returns whether there was anything to be removed */
  async #removeOldest(): Promise<boolean> {
    const packs = [...this.#packs].map(([name, entry]) => ({ name, entry, part: undefined }));
    const parts = [...this.#parts].flatMap(([name, all]) => all.map((part) => ({ name, entry: part, part })));
    const oldest = [...packs, ...parts].sort((a, b) => a.entry.usedMs - b.entry.usedMs);
    for (const { name, entry, part } of oldest) {
      if (this.#bytes <= this.#maxBytes * MAKE_ROOM) break;
      // While the last one was removed, this one may have gone, and its name have been taken by a new one.
      const isHere = part ? this.#dropPart(name, part) : this.#packs.get(name) === entry;
      if (!isHere) continue;
      if (!part) this.#drop(name);
      await unlink(systemPath(entry.path)).catch(() => {});
    }
    return oldest.length > 0;
  }

  /** Takes over what is there already. */
  async #take(): Promise<void> {
    for (const name of await this.#list("pack")) {
      const path = this.#pathOf("pack", name);
      const stats = await stat(systemPath(path)).catch(() => undefined);
      if (stats) this.#add(name, { path, bytes: stats.size, usedMs: stats.mtimeMs });
    }
    const folder = join(this.#folder, PARTS_FOLDER);
    for (const name of await namesIn(folder)) {
      const parts = isHexId(name) ? await this.#takeParts(join(folder, name)) : [];
      if (parts.length > 0) this.#parts.set(name, parts);
    }
    this.#makeRoom();
  }

  async #takeParts(folder: string): Promise<CachedPart[]> {
    const parts: CachedPart[] = [];
    for (const file of await finishedIn(folder)) {
      const match = /^(\d{1,15})-(\d{1,15})$/.exec(file);
      const path = join(folder, file);
      const stats = match && (await stat(systemPath(path)).catch(() => undefined));
      if (!match || !stats) continue;
      const [offset, length] = [Number(match[1]), Number(match[2])];
      if (stats.size !== length + HASH_BYTES) {
        await unlink(systemPath(path)).catch(() => {});
        continue;
      }
      parts.push({ path, bytes: stats.size, usedMs: stats.mtimeMs, offset, length });
      this.#bytes += stats.size;
    }
    return parts;
  }

  async #list(type: CachedType): Promise<string[]> {
    const folder = join(this.#folder, FOLDERS[type]);
    const names: string[] = [];
    for (const shard of await namesIn(folder))
      append(names, (await finishedIn(join(folder, shard))).filter(isHexId));
    return names;
  }
}

/** Makes the file that names the version, also where a crash has left it empty. */
async function requireVersion(path: string): Promise<void> {
  const there = (await readFile(systemPath(path), "utf8").catch(emptyUnlessThere)).trim();
  if (there === "") await writeWhole(path, [Buffer.from(VERSION)]);
  else if (there !== VERSION) throw new FormatError(`its version is "${there}", expected "${VERSION}"`);
}

function emptyUnlessThere(error: unknown): string {
  if (systemCodeOf(error) !== "ENOENT") throw error;
  return "";
}

function unlessThere(error: unknown): void {
  if (systemCodeOf(error) !== "EEXIST") throw error;
}
