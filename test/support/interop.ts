import { type RunOptions, type RunResult, runRestic, runYore } from "./run.js";
import { copyOfRepository } from "./temporary.js";

/** What a program made of its copy of a repository. */
export interface Outcome {
  readonly result: RunResult;
  /** Where the copy is. */
  readonly repository: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs the same command line with both programs, each on a copy of the repository of its own. */
export async function onCopies(
  repository: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly input?: string; readonly cwd?: string },
): Promise<{ yore: Outcome; restic: Outcome }> {
  const outcome = async (run: typeof runYore): Promise<Outcome> => {
    const copy = await copyOfRepository(repository);
    const env = { ...options.env, RESTIC_REPOSITORY: copy };
    return { result: await run([...args, "--no-cache"], { ...options, env }), repository: copy, env };
  };
  return { yore: await outcome(runYore), restic: await outcome(runRestic) };
}

/**
 * Runs the same command line with both programs on the same repository, one after the other: restic wonders for five
 * seconds, and aloud, when a lock that it has listed goes before it is read.
 */
export async function onBoth(
  args: readonly string[],
  options: RunOptions,
): Promise<{ yore: RunResult; restic: RunResult }> {
  const yore = await runYore(args, options);
  return { yore, restic: await runRestic(args, options) };
}

type ResticPeer = "restic" | "restic-debian";

/** What restic says; fails where it fails. */
export async function resticSays(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  options: { readonly peer?: ResticPeer; readonly cwd?: string } = {},
): Promise<string> {
  const result = await runRestic([...args, "--no-cache"], { env, ...options });
  if (result.code === 0) return result.stdout;
  throw new Error(`${options.peer ?? "restic"} ${args.join(" ")}: ${result.stderr}${result.stdout}`);
}

/** restic for the repositories of one password, wherever they lie: what it says; fails where it fails. */
export function resticWith(
  env: Readonly<Record<string, string>>,
  peer: ResticPeer = "restic",
): (location: string, ...args: string[]) => Promise<string> {
  return (location, ...args) => resticSays({ ...env, RESTIC_REPOSITORY: location }, args, { peer });
}

/** All snapshot files as restic prints them, without what is new in every run: IDs, sorted by time and tree. */
export async function snapshotsAsStored(env: Readonly<Record<string, string>>): Promise<unknown[]> {
  const snapshots = JSON.parse(await resticSays(env, ["snapshots", "--json"])) as Record<string, unknown>[];
  return snapshots.map(({ id: _, short_id: __, ...rest }) => rest);
}
