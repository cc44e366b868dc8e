import type { Backend } from "../backend/backend.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { DamagedError, FormatError, messageOf, NotFoundError, YoreError } from "../errors.js";
import { decodeConfig, encodeConfig, type RepositoryConfig } from "../format/config.js";
import { ConfigCopy } from "./config-copy.js";
import { sealFile, unsealFile } from "./repository-files.js";

export const CONFIG = { type: "config", name: "" } as const;

/** The config as it is stored. @throws {YoreError} `no-repository`, or {DamagedError} when it is empty */
export async function loadSealedConfig(backend: Backend): Promise<Uint8Array> {
  const sealed = await orNoRepository(backend, backend.load(CONFIG));
  if (sealed.length === 0) throw emptyConfig(backend);
  return sealed;
}

async function orNoRepository<T>(backend: Backend, asking: Promise<T>): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new YoreError(
      "no-repository",
      // restic's words, which scripts look for; those of the hint as well.
      `repository does not exist: unable to open config file: "${backend.location}" has none`,
      {
        cause: error,
        hint:
          `Is there a repository at the following location?\n${backend.location}\n` +
          "If there is none yet, `yore init` makes one",
      },
    );
  }
}

function emptyConfig(backend: Backend): DamagedError {
  return new DamagedError(`Cannot open repository "${backend.location}": the config file is empty`);
}

/** A config, and the bytes that hold it. */
export interface OpenedConfig {
  readonly sealed: Uint8Array;
  readonly config: RepositoryConfig;
}

/**
 * Opens what was loaded; when it is damaged it is loaded once more, for the way may have spoilt it.
 *
 * @throws {DamagedError} when it cannot be unsealed or decoded
 */
export async function openConfig(
  backend: Backend,
  engine: Engine,
  masterKey: MasterKey,
  loaded: Uint8Array,
): Promise<OpenedConfig> {
  const open = async (sealed: Uint8Array) => ({
    sealed,
    config: await unsealConfig(backend, engine, masterKey, sealed),
  });
  try {
    return await open(loaded);
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    return open(await loadSealedConfig(backend));
  }
}

async function unsealConfig(
  backend: Backend,
  engine: Engine,
  masterKey: MasterKey,
  sealed: Uint8Array,
): Promise<RepositoryConfig> {
  const json = await unsealFile(engine, masterKey, CONFIG, sealed);
  try {
    return decodeConfig(json);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const hint = cause.hint ?? "The damaged file is the config";
    throw new DamagedError(`Cannot open repository "${backend.location}": ${cause.message}`, { cause, hint });
  }
}

/** A config as JSON. What is refused when it is read must not be written. @throws {FormatError} for such a one */
export function encodeReadableConfig(config: RepositoryConfig): Uint8Array {
  const json = encodeConfig(config);
  decodeConfig(json);
  return json;
}

/**
 * Saves another config in the place of the one that is there, which is put back when that fails. Whatever happens meanwhile,
 * there is a copy of it on this machine.
 *
 * @throws {YoreError} what saving failed with; its hint names the copy where the old one could not be put back
 */
export async function replaceConfig(
  backend: Backend,
  engine: Engine,
  masterKey: MasterKey,
  config: RepositoryConfig,
): Promise<void> {
  const sealed = await sealFile(engine, masterKey, encodeReadableConfig(config), true);
  const { sealed: old } = await openConfig(backend, engine, masterKey, await loadSealedConfig(backend));
  const copy = await ConfigCopy.make(old);
  try {
    await backend.save(CONFIG, [sealed]);
  } catch (error) {
    try {
      await backend.save(CONFIG, [old]);
    } catch {
      throw new YoreError(error instanceof YoreError ? error.code : "backend", messageOf(error), {
        cause: error,
        hint: `The repository may have no config now. Its old one is in "${copy.path}": put it there as the file "config"`,
      });
    }
    await copy.remove();
    throw error;
  }
  await copy.remove();
}
