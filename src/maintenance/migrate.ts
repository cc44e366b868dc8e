import { UsageError, YoreError } from "../errors.js";
import type { Repository } from "../repository/repository.js";

export interface Migration {
  readonly name: string;
  readonly description: string;
  /** @returns why it cannot be applied; `undefined` when it can */
  readonly refuses: (repository: Repository) => string | undefined;
  /** The repository must be closed and opened again afterwards. @throws {YoreError} */
  readonly apply: (repository: Repository) => Promise<void>;
}

const UPGRADE: Migration = {
  name: "upgrade_repo_v2",
  description: "upgrade a repository to version 2",
  refuses: ({ config }) =>
    config.version === 1 ? undefined : `repository is already upgraded to version ${config.version}`,
  apply: async (repository) => {
    const { version } = repository.config;
    if (version !== 1)
      throw new UsageError(`repository has version ${version}, only upgrades from version 1 are supported`);
    await repository.upgrade();
  },
};

/** All there are. What version 2 brings is taken up by what is written from then on, and by `prune`. */
export const MIGRATIONS: readonly Migration[] = [UPGRADE];

/** @throws {YoreError} if there is none of the name */
export function findMigration(name: string): Migration {
  const found = MIGRATIONS.find((migration) => migration.name === name);
  if (!found) throw new YoreError("not-found", `unknown migration ${name}`);
  return found;
}
