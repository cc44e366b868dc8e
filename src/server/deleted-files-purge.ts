import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, systemCodeOf } from "../errors.js";
import { listDeleted } from "./deleted-files.js";
import type { PolicyKeeper } from "./policy.js";
import type { UsageLedger } from "./usage.js";

const PURGE_EACH_MS = 60 * 60 * 1000;

export interface DeletedFilesPurgeOptions {
  readonly dataFolder: string;
  readonly usage: UsageLedger;
  /** Resolves when the usage is counted: before that, nobody knows where deleted files lie. */
  readonly counted: Promise<void>;
  readonly policy: PolicyKeeper;
  readonly onLog: (line: string) => void;
  /** Milliseconds; an hour when left out. */
  readonly eachMs?: number | undefined;
}

/**
 * Removes deleted files whose time is over. Those of a repository that no rule gives a time stay: a rule that got lost
 * must not take with it what it was to protect.
 */
export class DeletedFilesPurge {
  readonly #options: DeletedFilesPurgeOptions;
  readonly #timer: NodeJS.Timeout;
  #working = false;
  #stopped = false;

  constructor(options: DeletedFilesPurgeOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#purge(), options.eachMs ?? PURGE_EACH_MS).unref();
    void this.#purge();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #purge(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    const { usage, counted, policy, onLog } = this.#options;
    try {
      await counted;
      for (const [repository, { deletedBytes }] of [...usage.entries()]) {
        const keptMs = policy.keepDeletedMs(repository);
        if (deletedBytes <= 0 || keptMs === undefined) continue;
        await this.#purgeRepository(repository, Date.now() - keptMs).catch((error: unknown) => {
          onLog(`Cannot remove deleted files of "${repository}": ${messageOf(error)}`);
        });
      }
    } finally {
      this.#working = false;
    }
  }

  async #purgeRepository(repository: string, untilMs: number): Promise<void> {
    const { dataFolder, usage, onLog } = this.#options;
    const path = repository.split("/").filter((folder) => folder !== "");
    let removed = 0;
    try {
      for await (const files of listDeleted(join(dataFolder, ...path), { untilMs })) {
        for (const file of files) {
          if (this.#stopped) return;
          // Somebody who brings files back may have been faster.
          await unlink(file.path).catch((error: unknown) => {
            if (systemCodeOf(error) !== "ENOENT") throw error;
          });
          usage.addDeleted(path, -file.size);
          removed++;
        }
      }
    } finally {
      if (removed > 0) onLog(`removed ${removed} deleted files of "${repository}" whose time is over`);
    }
  }
}
