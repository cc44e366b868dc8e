import { awaitedLater } from "../async/awaited-later.js";
import type { Backend } from "../backend/backend.js";
import { formatShortId, type Id, parseId } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { messageOf, throwIfAborted, YoreError } from "../errors.js";
import { decodeKeyFile, type KeyFile } from "../format/key-file.js";
import { unwrapMasterKey } from "./keys.js";
import { type Password, passwordBytes } from "./password.js";
import { loadRawFile } from "./repository-files.js";

/** As restic does: the hinted key first, then no more than so many others. */
const MAX_KEYS = 20;

export interface OpenedKey {
  /** The key file that the password fitted. */
  readonly id: Id;
  readonly masterKey: MasterKey;
}

export interface KeyCandidatesOptions {
  /** Key ID or the beginning of one: tried first. */
  readonly keyHint?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names of key files: the hinted ones first, and how many there are in all. */
interface Listed {
  readonly ids: readonly Id[];
  readonly total: number;
}

/**
 * The key files that a password is tried on. They are listed, and the first is loaded, before there is a password; each
 * is loaded once, however many passwords are tried.
 */
export class KeyCandidates {
  readonly #backend: Backend;
  readonly #engine: Engine;
  readonly #signal: AbortSignal | undefined;
  readonly #listed: Promise<Listed>;
  readonly #loaded = new Map<Id, Promise<KeyFile>>();

  constructor(backend: Backend, engine: Engine, options: KeyCandidatesOptions = {}) {
    this.#backend = backend;
    this.#engine = engine;
    this.#signal = options.signal;
    this.#listed = awaitedLater(this.#begin(options.keyHint));
  }

  /**
   * Finds the key file that the password fits. Key files that cannot be read are passed over, and named when
   * none fits.
   *
   * @throws {YoreError} with code `wrong-password` if none fits
   */
  async open(password: Password): Promise<OpenedKey> {
    const bytes = passwordBytes(password);
    const { ids, total } = await this.#listed;
    const skipped: string[] = [];
    let first: YoreError | undefined;
    let compared = 0;
    for (const id of ids) {
      throwIfAborted(this.#signal);
      try {
        const file = await this.#load(id);
        const masterKey = await unwrapMasterKey(this.#engine, file, bytes);
        if (masterKey) return { id, masterKey };
        compared++;
      } catch (error) {
        if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
        first ??= error;
        skipped.push(`key ${formatShortId(id)} was skipped (${messageOf(error)})`);
      }
    }
    // As long as no key could be compared, nothing is known about the password.
    if (first && compared === 0)
      throw new YoreError(
        first.code === "format" ? "damaged" : first.code,
        `Cannot open repository "${this.#backend.location}": no key file can be read: ${skipped.join("; ")}`,
        { cause: first },
      );
    throw noKeyFits(this.#backend, ids.length, total, skipped);
  }

  async #begin(hint: string | undefined): Promise<Listed> {
    const hinted: Id[] = [];
    const others: Id[] = [];
    for await (const { name } of this.#backend.list("key")) {
      const id = parseId(name);
      if (id) (hint && name.startsWith(hint.toLowerCase()) ? hinted : others).push(id);
    }
    const ids = [...hinted, ...others.slice(0, MAX_KEYS)];
    if (ids.length > 0) awaitedLater(this.#load(ids[0]!));
    return { ids, total: hinted.length + others.length };
  }

  #load(id: Id): Promise<KeyFile> {
    let loading = this.#loaded.get(id);
    if (!loading) {
      loading = loadRawFile(this.#backend, this.#engine, "key", id, this.#signal).then(decodeKeyFile);
      this.#loaded.set(id, loading);
    }
    return loading;
  }
}

function noKeyFits(backend: Backend, tried: number, total: number, skipped: string[]): YoreError {
  // restic's words, which scripts look for.
  const reasons = [`wrong password or no key found for repository "${backend.location}"`];
  if (total === 0) reasons.push("it has no key file");
  if (tried < total) reasons.push(`${tried} of ${total} keys were tried`);
  return new YoreError(
    "wrong-password",
    [...reasons, ...skipped].join("; "),
    tried < total ? { hint: "Name the key to try first with --key-hint" } : {},
  );
}
