import { equalIds, formatId, type Id } from "../bytes/id.js";
import { NotFoundError, UsageError } from "../errors.js";
import type { KeyOwner, ListedKey } from "../repository/keys.js";
import type { Password } from "../repository/password.js";
import type { Session } from "./session.js";

export type { KeyOwner, ListedKey } from "../repository/keys.js";

export interface SessionKey extends ListedKey {
  /** It is the one that opened the session. */
  readonly isCurrent: boolean;
}

/** All keys of the repository, those that cannot be read with the reason. */
export async function runKeyList({ repository }: Session): Promise<SessionKey[]> {
  const keys: SessionKey[] = [];
  for await (const key of repository.listKeys())
    keys.push({ ...key, isCurrent: equalIds(key.id, repository.keyId) });
  return keys;
}

/** Makes a key for one more password. @returns its ID */
export function runKeyAdd({ repository }: Session, password: Password, owner: KeyOwner): Promise<Id> {
  return repository.addKey(password, owner);
}

/**
 * Makes a key for a new password, opens it, and only then removes the key that opened the session.
 *
 * @returns the ID of the new key
 */
export async function runKeyPasswd(
  { repository }: Session,
  password: Password,
  owner: KeyOwner,
): Promise<Id> {
  const id = await repository.addKey(password, owner);
  await repository.removeFile("key", repository.keyId);
  return id;
}

/**
 * Removes a key.
 *
 * @param prefix its ID, or the beginning of it
 * @returns its ID
 * @throws {NotFoundError} if there is none
 * @throws {UsageError} if there are several, or it is the one that opened the session
 */
export async function runKeyRemove({ repository }: Session, prefix: string): Promise<Id> {
  const found: Id[] = [];
  for await (const { id } of repository.listFiles("key")) if (formatId(id).startsWith(prefix)) found.push(id);
  const [id] = found;
  if (!id || prefix === "") throw new NotFoundError(`no matching ID found for prefix "${prefix}"`);
  if (found.length > 1) throw new UsageError(`multiple IDs with prefix "${prefix}" found`);
  if (equalIds(id, repository.keyId))
    throw new UsageError("refusing to remove key currently used to access repository");
  await repository.removeFile("key", id);
  return id;
}
