import type { Backend } from "../backend/backend.js";
import { UsageError } from "../errors.js";
import type { CompressionMode } from "./compression.js";
import type { KeyOwner } from "./keys.js";
import type { Password } from "./password.js";

export const DEFAULT_PACK_SIZE_BYTES = 16 * 1024 * 1024;
const MIN_PACK_SIZE_BYTES = 4 * 1024 * 1024;
const MAX_PACK_SIZE_BYTES = 128 * 1024 * 1024;

export interface RepositorySettings {
  /** How hard to compress what is written; "auto" when left out. Version 1 never compresses. */
  readonly compression?: CompressionMode | undefined;
  /** A pack is finished when it is this large: 4 to 128 MiB, 16 when left out. */
  readonly packSizeBytes?: number | undefined;
  /** Whether what was sealed is unsealed again and compared before it is saved; true when left out. */
  readonly extraVerify?: boolean | undefined;
}

export interface OpenRepositoryOptions extends RepositorySettings {
  readonly password: Password;
  /** An empty password is refused without it: it is a forgotten one more often than a wanted one. */
  readonly allowEmptyPassword?: boolean | undefined;
  /** Key ID or the beginning of one: tried first. */
  readonly keyHint?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CreateRepositoryOptions extends RepositorySettings {
  readonly password: Password;
  readonly allowEmptyPassword?: boolean | undefined;
  /** 2, the default, has compression; 1 is for restic before 0.14. */
  readonly version?: 1 | 2 | undefined;
  /** Irreducible, of degree 53; random when left out. Repositories that share one cut files alike. */
  readonly chunkerPolynomial?: bigint | undefined;
  /** Who the first key is for. */
  readonly owner?: KeyOwner | undefined;
}

/** @throws {UsageError} for what no repository can be opened with */
export function checkSettings({ packSizeBytes }: RepositorySettings): void {
  if (packSizeBytes === undefined) return;
  const fits = packSizeBytes >= MIN_PACK_SIZE_BYTES && packSizeBytes <= MAX_PACK_SIZE_BYTES;
  if (!Number.isInteger(packSizeBytes) || !fits)
    throw new UsageError(
      `Cannot use pack size ${packSizeBytes}: expected ${MIN_PACK_SIZE_BYTES} to ${MAX_PACK_SIZE_BYTES} bytes`,
    );
}

/** @throws {UsageError} for an empty password that nobody allowed. @param verb "open" or "create" */
export function checkPassword(
  verb: string,
  backend: Backend,
  options: { readonly password: Password; readonly allowEmptyPassword?: boolean | undefined },
): void {
  if (options.password.length === 0 && !options.allowEmptyPassword)
    throw new UsageError(
      `Cannot ${verb} repository "${backend.location}": an empty password is not allowed`,
      {
        hint: "Use --insecure-no-password if the repository really has none",
      },
    );
}
