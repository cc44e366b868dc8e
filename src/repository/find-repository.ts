import type { Backend } from "../backend/backend.js";
import type { Engine } from "../engine/engine.js";
import { loadSealedConfig } from "./config-file.js";
import { KeyCandidates, type KeyCandidatesOptions } from "./key-candidates.js";

/** What can be known of a repository without its password. */
export interface FoundRepository {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly sealedConfig: Uint8Array;
  readonly keys: KeyCandidates;
}

/**
 * Looks for a repository, so that nobody is asked for the password of one that is not there. Its keys are asked for at the
 * same time as its config: over a slow line each question that waits for another is felt.
 *
 * @throws {YoreError} `no-repository` if there is no config, whatever is wrong with the keys
 * @throws {DamagedError} if the config is empty
 */
export async function findRepository(
  backend: Backend,
  engine: Engine,
  options: KeyCandidatesOptions = {},
): Promise<FoundRepository> {
  const keys = new KeyCandidates(backend, engine, options);
  return { backend, engine, keys, sealedConfig: await loadSealedConfig(backend) };
}
