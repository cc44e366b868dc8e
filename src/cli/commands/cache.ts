import type { Command } from "commander";
import {
  type CacheFolder,
  cacheBytes,
  DEFAULT_MAX_AGE_DAYS,
  listCaches,
  removeOldCaches,
} from "../../commands/cache.js";
import { UsageError } from "../../errors.js";
import { action, type CommandContext } from "../command-context.js";
import { parseCount } from "../global-options.js";
import type { Io } from "../output.js";
import { renderTable } from "../table.js";
import { formatBytes } from "../units.js";

interface CacheFlags {
  readonly cleanup?: boolean;
  readonly maxAge: number;
  readonly size: boolean;
}

export function registerCache(program: Command, io: Io): void {
  program
    .command("cache")
    .description("list or clean the local caches of repositories")
    .option("--cleanup", "remove old caches")
    .option(
      "--max-age <days>",
      "how many days without use make a cache old",
      (text: string) => parseCount("--max-age", text),
      DEFAULT_MAX_AGE_DAYS,
    )
    .option("--no-size", "do not find out how large the caches are")
    .action(
      action<CacheFlags>(io, async (context, _args, flags) => {
        const folder = context.global.cache?.folder;
        if (folder === undefined) throw new UsageError("Refusing to do anything, the cache is disabled");
        const caches = await listCaches(folder, flags.maxAge);
        if (flags.cleanup) await cleanUp(context, folder, caches);
        else await show(context, folder, caches, flags.size);
        return undefined;
      }),
    );
}

async function cleanUp(
  context: CommandContext,
  folder: string,
  caches: readonly CacheFolder[],
): Promise<void> {
  const removed = await removeOldCaches(caches);
  if (context.global.json) {
    for (const cache of removed) context.json(describe("removed", cache, undefined));
    context.json({
      message_type: "summary",
      folder,
      caches: caches.length - removed.length,
      removed: removed.length,
    });
  } else if (removed.length === 0) context.print("no old cache dirs found");
  else context.print(`removed ${removed.length} old cache directories`);
}

async function show(
  context: CommandContext,
  folder: string,
  caches: readonly CacheFolder[],
  withSize: boolean,
): Promise<void> {
  const { io, global } = context;
  const sizes = withSize ? await Promise.all(caches.map(cacheBytes)) : [];
  if (global.json) {
    for (const [i, cache] of caches.entries()) context.json(describe("cache", cache, sizes[i]));
    context.json({ message_type: "summary", folder, caches: caches.length, removed: 0 });
    return;
  }
  if (caches.length === 0) return context.print(`no cache dirs found, basedir is ${folder}`);
  const columns = [{ header: "Repo ID" }, { header: "Last Used" }, { header: "Old" }];
  const rows = caches.map(({ repositoryId, ageDays, isOld }, i) => [
    repositoryId.slice(0, 10),
    `${ageDays} days ago`,
    isOld ? "yes" : "",
    ...(withSize ? [formatBytes(sizes[i]!).padStart(SIZE_WIDTH)] : []),
  ]);
  const sizeColumn = { header: "Size" };
  for (const line of renderTable(withSize ? [...columns, sizeColumn] : columns, rows)) io.stdout.line(line);
  context.print(`${caches.length} cache dirs in ${folder}`);
}

/** Of the column, also where all sizes are short. */
const SIZE_WIDTH = 11;

function describe(type: "cache" | "removed", cache: CacheFolder, bytes: number | undefined): object {
  return {
    message_type: type,
    repository_id: cache.repositoryId,
    path: cache.path,
    last_used: new Date(cache.usedMs).toISOString(),
    old: cache.isOld,
    size: bytes,
  };
}
