import type { CheckSummary, CheckWatch } from "../maintenance/check-options.js";
import { findMigration, MIGRATIONS, type Migration } from "../maintenance/migrate.js";
import { runCheck } from "./check.js";
import type { Session } from "./session.js";

/** What a migration is called, and what it is for. */
export type MigrationInfo = Pick<Migration, "name" | "description">;

/** The migrations that can be applied to the repository of a session. */
export function listMigrations({ repository }: Session): MigrationInfo[] {
  return MIGRATIONS.filter((migration) => migration.refuses(repository) === undefined);
}

export interface MigrateOptions {
  readonly names: readonly string[];
  /** Try even what refuses. */
  readonly force: boolean;
}

export type MigrateEvent =
  | { readonly type: "checking" }
  | { readonly type: "checked"; readonly summary: CheckSummary }
  | { readonly type: "applying"; readonly name: string }
  | { readonly type: "applied"; readonly name: string }
  | { readonly type: "refused"; readonly name: string; readonly reason: string; readonly forced: boolean }
  | { readonly type: "failed"; readonly name: string; readonly error: unknown };

/**
 * Applies migrations to the repository of a session, which should hold the exclusive lock; checks it before.
 *
 * @throws the first failure of one, and what `on` throws about a check that found something
 */
export async function runMigrate(
  session: Session,
  { names, force }: MigrateOptions,
  watch: Pick<CheckWatch, "progress"> & {
    readonly on: (event: MigrateEvent) => void;
    readonly onCheck: NonNullable<CheckWatch["on"]>;
  },
): Promise<void> {
  for (const name of names) {
    const migration = findMigration(name);
    const reason = migration.refuses(session.repository);
    if (reason !== undefined) {
      watch.on({ type: "refused", name, reason, forced: force });
      if (!force) continue;
    }
    watch.on({ type: "checking" });
    const summary = await runCheck(session, {}, { progress: watch.progress, on: watch.onCheck });
    watch.on({ type: "checked", summary });
    watch.on({ type: "applying", name });
    try {
      await migration.apply(session.repository);
    } catch (error) {
      watch.on({ type: "failed", name, error });
      throw error;
    }
    watch.on({ type: "applied", name });
  }
}
