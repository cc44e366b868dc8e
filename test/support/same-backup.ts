import { join } from "node:path";
import { type RunOptions, type RunResult, run, runRestic, runYore } from "./run.js";
import { temporaryFolder } from "./temporary.js";

export type Program = "yore" | "restic" | "restic-debian";

/** The `summary` of a backup's JSON, with the tree of the snapshot that it made. */
export interface BackupResult extends Record<string, unknown> {
  readonly snapshot_id?: string;
  readonly data_blobs: number;
  readonly tree: string;
}

/** A repository that the programs are let loose on. */
export class SharedRepository {
  readonly location: string;

  private constructor(location: string) {
    this.location = location;
  }

  static async create(version: 1 | 2 = 2, location?: string): Promise<SharedRepository> {
    const repository = new SharedRepository(location ?? join(await temporaryFolder(), "repository"));
    await repository.succeed("restic", ["init", "--repository-version", String(version)]);
    return repository;
  }

  run(program: Program, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const env = { RESTIC_REPOSITORY: this.location, RESTIC_PASSWORD: "geheim", ...options.env };
    const all = [...args.slice(0, 1), "--no-cache", ...args.slice(1)];
    if (program === "yore") return runYore(all, { ...options, env });
    return runRestic(all, { ...options, env, peer: program });
  }

  /** @throws {Error} unless the program ends with 0 */
  async succeed(program: Program, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const result = await this.run(program, args, options);
    if (result.code !== 0)
      throw new Error(`${program} ${args.join(" ")}: ${result.code}\n${result.stderr}${result.stdout}`);
    return result;
  }

  /** Backs up and returns the summary. @throws {Error} when there is none */
  async backup(program: Program, args: readonly string[], options: RunOptions = {}): Promise<BackupResult> {
    const result = await this.run(program, ["backup", "--json", ...args], options);
    const lines = result.stdout.trim().split("\n");
    const summary = lines.find((line) => line.includes('"message_type":"summary"'));
    if (!summary) throw new Error(`${program} made no snapshot: ${result.code}\n${result.stderr}`);
    const parsed = JSON.parse(summary) as BackupResult;
    if (!parsed.snapshot_id) return { ...parsed, tree: "" };
    const snapshot = JSON.parse(
      (await this.succeed("restic", ["cat", "snapshot", parsed.snapshot_id])).stdout,
    ) as { tree: string };
    return { ...parsed, tree: snapshot.tree };
  }
}

/** What rsync would have to change to make a restored folder equal to the original; "" when nothing. */
export async function differences(original: string, restored: string, flags = "-aHAXn"): Promise<string> {
  const args = [flags, "--delete", "--itemize-changes", `${original}/`, `${restored}/`];
  const result = await run("rsync", args);
  return result.stdout + result.stderr;
}
