import { TokenBucket } from "../async/token-bucket.js";
import type { FileType } from "../backend/backend.js";
import type { RepositoryPath } from "./request-target.js";

/**
 * What somebody may do in a repository. Locks may be read, written and removed in every mode, or no program could
 * protect what it reads from being pruned.
 *
 * - `full`: everything
 * - `append-only`: read and add; remove nothing
 * - `read-only`: read
 * - `write-only`: add, and read what a backup needs (config, keys, index, snapshots), but no pack: what was backed
 *   up cannot be fetched with a stolen password
 */
export type AccessMode = "full" | "append-only" | "read-only" | "write-only";

export const ACCESS_MODES: readonly AccessMode[] = ["full", "append-only", "read-only", "write-only"];

export type Operation = "read" | "add" | "remove";

/** Limits of a user, of a repository, or of everybody. What is left out is not limited. */
export interface Rules {
  readonly mode?: AccessMode | undefined;
  /** Bytes that may lie there: below the user's folder, or in the repository. */
  readonly quota?: number | undefined;
  /** Bytes a second, of all requests together. */
  readonly uploadRate?: number | undefined;
  readonly downloadRate?: number | undefined;
  /** Milliseconds: a repository whose newest snapshot is older is stale. The most particular rule counts. */
  readonly staleAfterMs?: number | undefined;
  /** Milliseconds: how long what clients delete is kept; 0 is not at all. The most particular rule counts. */
  readonly keepDeletedMs?: number | undefined;
}

/** The rules of a server: what several of them say about a request all holds. */
export interface Policy {
  readonly everybody: readonly Rules[];
  readonly users: ReadonlyMap<string, Rules>;
  /** By path, such as "ada/laptop"; "" is the data folder itself. */
  readonly repositories: ReadonlyMap<string, Rules>;
  /** Where stale repositories are told of: http or https. */
  readonly webhook?: string | undefined;
}

export const NO_POLICY: Policy = { everybody: [], users: new Map(), repositories: new Map() };

/** True when the mode allows it. List and stat are no reading of a pack. */
export function allows(mode: AccessMode, operation: Operation, type: FileType): boolean {
  if (mode === "full" || type === "lock") return true;
  if (operation === "remove") return false;
  if (operation === "add") return mode !== "read-only";
  return mode !== "write-only" || type !== "pack";
}

/** A quota and the folders whose bytes count for it. */
export interface Quota {
  readonly folders: RepositoryPath;
  /** The repository alone, and not what lies in folders below it. */
  readonly exact: boolean;
  readonly limit: number;
}

/** What the policy says about one user in one repository. */
export interface Grant {
  readonly modes: readonly AccessMode[];
  readonly quotas: readonly Quota[];
  readonly uploads: readonly TokenBucket[];
  readonly downloads: readonly TokenBucket[];
}

/** Keeps the policy and, as long as the policy stays the same, the state of its rates. */
export class PolicyKeeper {
  #policy: Policy;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  replace(policy: Policy): void {
    this.#policy = policy;
    this.#buckets.clear();
  }

  get webhook(): string | undefined {
    return this.#policy.webhook;
  }

  /** Of a repository, in milliseconds. @param path such as "ada/laptop" */
  staleAfterMs(path: string): number | undefined {
    return this.#mostParticular(path, "staleAfterMs");
  }

  /** Of a repository, in milliseconds. @param path such as "ada/laptop" */
  keepDeletedMs(path: string): number | undefined {
    return this.#mostParticular(path, "keepDeletedMs");
  }

  /** A repository's own rule, else that of the user whose folder it lies in, else everybody's. */
  #mostParticular(path: string, key: "staleAfterMs" | "keepDeletedMs"): number | undefined {
    const { everybody, users, repositories } = this.#policy;
    const rules = [repositories.get(path), users.get(path.split("/", 1)[0]!), ...everybody.toReversed()];
    return rules.find((one) => one?.[key] !== undefined)?.[key];
  }

  /** @param user "" where nobody is asked for a name */
  grant(user: string, repository: RepositoryPath): Grant {
    const { everybody, users, repositories } = this.#policy;
    const path = repository.join("/");
    const own = users.get(user);
    const here = repositories.get(path);
    const named: [string, Rules | undefined][] = [
      ...everybody.map((rules, i): [string, Rules] => [`everybody, ${i}`, rules]),
      [`user ${user}`, own],
      [`repository ${path}`, here],
    ];
    return {
      modes: named.flatMap(([, rules]) => rules?.mode ?? []),
      quotas: [
        ...everybody.flatMap((rules) => quotaOf(rules, [], false)),
        ...quotaOf(own, [user], false),
        ...quotaOf(here, repository, true),
      ],
      uploads: named.flatMap(([name, rules]) => this.#bucket(`upload of ${name}`, rules?.uploadRate)),
      downloads: named.flatMap(([name, rules]) => this.#bucket(`download of ${name}`, rules?.downloadRate)),
    };
  }

  #bucket(name: string, rate: number | undefined): TokenBucket[] {
    if (rate === undefined) return [];
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      bucket = new TokenBucket(rate);
      this.#buckets.set(name, bucket);
    }
    return [bucket];
  }
}

function quotaOf(rules: Rules | undefined, folders: RepositoryPath, exact: boolean): Quota[] {
  return rules?.quota === undefined ? [] : [{ folders, exact, limit: rules.quota }];
}
