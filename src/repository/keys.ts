import { hostname as machineName, userInfo } from "node:os";
import type { Backend } from "../backend/backend.js";
import { formatId, formatShortId, type Id, parseId } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { DamagedError, messageOf, throwIfAborted, YoreError } from "../errors.js";
import {
  decodeKeyFile,
  decodeMasterKey,
  encodeKeyFile,
  encodeMasterKey,
  type KeyFile,
  SALT_LENGTH,
} from "../format/key-file.js";
import { timestampNow } from "./clock.js";
import { loadRawFile, sealFile } from "./repository-files.js";

/** As restic does: the hinted key first, then no more than so many others. */
const MAX_KEYS = 20;

/** What restic's calibration gives on an ordinary machine: about half a second, 32 MiB. */
export const DEFAULT_SCRYPT = { N: 32768, r: 8, p: 5 } as const;

const DERIVED_BYTES = 64;

export interface OpenedKey {
  /** The key file that the password fitted. */
  readonly id: Id;
  readonly masterKey: MasterKey;
}

export interface OpenKeyOptions {
  readonly password: string;
  /** Key ID or the beginning of one: tried first. */
  readonly keyHint?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Who a key is for; this user on this machine when left out. */
export interface KeyOwner {
  readonly username?: string | undefined;
  readonly hostname?: string | undefined;
}

export interface ListedKey {
  readonly id: Id;
  readonly key: KeyFile | undefined;
  /** Why the key file could not be read. */
  readonly error: YoreError | undefined;
}

/** New random keys for a new repository. */
export function createMasterKey(engine: Engine): MasterKey {
  return { encrypt: engine.randomBytes(32), macK: engine.randomBytes(16), macR: engine.randomBytes(16) };
}

/**
 * Finds the key file that the password fits. Key files that cannot be read are passed over, and named when
 * none fits.
 *
 * @throws {YoreError} with code `wrong-password` if none fits
 */
export async function openKey(backend: Backend, engine: Engine, options: OpenKeyOptions): Promise<OpenedKey> {
  const password = Buffer.from(options.password, "utf8");
  const { ids, total } = await candidates(backend, options.keyHint);
  const skipped: string[] = [];
  let first: YoreError | undefined;
  let compared = 0;
  for (const id of ids) {
    throwIfAborted(options.signal);
    try {
      const file = decodeKeyFile(await loadRawFile(backend, engine, "key", id, options.signal));
      const masterKey = await unwrap(engine, file, password);
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
      `Cannot open repository "${backend.location}": no key file can be read: ${skipped.join("; ")}`,
      { cause: first },
    );
  throw noKeyFits(backend, ids.length, total, skipped);
}

/** Wraps the master key with a password and saves it as a new key file. */
export async function saveKey(
  backend: Backend,
  engine: Engine,
  masterKey: MasterKey,
  password: string,
  owner: KeyOwner = {},
): Promise<Id> {
  const salt = engine.randomBytes(SALT_LENGTH);
  const wrapper = await derive(engine, Buffer.from(password, "utf8"), salt, DEFAULT_SCRYPT);
  const data = await sealFile(engine, wrapper, encodeMasterKey(masterKey), true);
  const bytes = encodeKeyFile({
    created: timestampNow(),
    username: owner.username ?? userName(),
    hostname: owner.hostname ?? machineName(),
    ...DEFAULT_SCRYPT,
    salt,
    data,
  });
  const id = engine.hash(bytes);
  await backend.save({ type: "key", name: formatId(id) }, [bytes]);
  return id;
}

/** Loads a key file and opens it. @throws {DamagedError} if the password does not fit it, or it holds no keys */
export async function verifyKey(backend: Backend, engine: Engine, id: Id, password: string): Promise<void> {
  const file = decodeKeyFile(await loadRawFile(backend, engine, "key", id));
  if (!(await unwrap(engine, file, Buffer.from(password, "utf8"))))
    throw new DamagedError(`Cannot use key ${formatShortId(id)}: what was saved does not open`);
}

/** All key files, in listing order; unreadable ones with their reason. */
export async function* listKeys(backend: Backend, engine: Engine): AsyncIterable<ListedKey> {
  for await (const { name } of backend.list("key")) {
    const id = parseId(name);
    if (!id) continue;
    try {
      const key = decodeKeyFile(await loadRawFile(backend, engine, "key", id));
      yield { id, key, error: undefined };
    } catch (error) {
      if (!(error instanceof YoreError)) throw error;
      yield { id, key: undefined, error };
    }
  }
}

/** The name of this user, as key, lock and snapshot files carry it. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the password database: common in containers.
    return process.env["USER"] ?? "";
  }
}

async function candidates(backend: Backend, hint: string | undefined): Promise<{ ids: Id[]; total: number }> {
  const hinted: Id[] = [];
  const others: Id[] = [];
  for await (const { name } of backend.list("key")) {
    const id = parseId(name);
    if (id) (hint && name.startsWith(hint.toLowerCase()) ? hinted : others).push(id);
  }
  return { ids: [...hinted, ...others.slice(0, MAX_KEYS)], total: hinted.length + others.length };
}

/** The master key, or `undefined` when the password is not this key's. */
async function unwrap(engine: Engine, file: KeyFile, password: Uint8Array): Promise<MasterKey | undefined> {
  const wrapper = await derive(engine, password, file.salt, file);
  const [result] = await engine.unseal(wrapper, [
    { sealed: file.data, uncompressedLength: 0, id: undefined },
  ]);
  return "plaintext" in result! ? decodeMasterKey(result.plaintext) : undefined;
}

async function derive(
  engine: Engine,
  password: Uint8Array,
  salt: Uint8Array,
  { N, r, p }: { readonly N: number; readonly r: number; readonly p: number },
): Promise<MasterKey> {
  const bytes = await engine.scrypt(password, salt, { N, r, p }, DERIVED_BYTES);
  return { encrypt: bytes.subarray(0, 32), macK: bytes.subarray(32, 48), macR: bytes.subarray(48, 64) };
}

function noKeyFits(backend: Backend, tried: number, total: number, skipped: string[]): YoreError {
  const reasons = [tried === 0 ? "there is no key file" : "wrong password or no key found"];
  if (tried < total) reasons.push(`${tried} of ${total} keys were tried`);
  return new YoreError(
    "wrong-password",
    `Cannot open repository "${backend.location}": ${[...reasons, ...skipped].join("; ")}`,
    tried < total ? { hint: "Name the key to try first with --key-hint" } : {},
  );
}
