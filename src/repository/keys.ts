import { hostname as machineName, userInfo } from "node:os";
import type { Backend } from "../backend/backend.js";
import { formatId, formatShortId, type Id, parseId } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { DamagedError, YoreError } from "../errors.js";
import {
  decodeKeyFile,
  decodeMasterKey,
  encodeKeyFile,
  encodeMasterKey,
  type KeyFile,
  SALT_LENGTH,
} from "../format/key-file.js";
import { timestampNow } from "./clock.js";
import { type Password, passwordBytes } from "./password.js";
import { loadRawFile, sealFile } from "./repository-files.js";

/** What restic's calibration gives on an ordinary machine: about half a second, 32 MiB. */
const DEFAULT_SCRYPT = { N: 32768, r: 8, p: 5 } as const;

const DERIVED_BYTES = 64;

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

/** Wraps the master key with a password and saves it as a new key file. */
export async function saveKey(
  backend: Backend,
  engine: Engine,
  masterKey: MasterKey,
  password: Password,
  owner: KeyOwner = {},
): Promise<Id> {
  const salt = engine.randomBytes(SALT_LENGTH);
  const wrapper = await derive(engine, passwordBytes(password), salt, DEFAULT_SCRYPT);
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
export async function verifyKey(backend: Backend, engine: Engine, id: Id, password: Password): Promise<void> {
  const file = decodeKeyFile(await loadRawFile(backend, engine, "key", id));
  if (!(await unwrapMasterKey(engine, file, passwordBytes(password))))
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

/** The name of this user, as key, lock and snapshot files carry it; "" for a number without a name, as in many containers. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

/** The master key, or `undefined` when the password is not this key's. */
export async function unwrapMasterKey(
  engine: Engine,
  file: KeyFile,
  password: Uint8Array,
): Promise<MasterKey | undefined> {
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
