import type { Quota } from "./policy.js";
import { Refusal } from "./refusal.js";
import type { RepositoryPath } from "./request-target.js";
import type { UsageLedger } from "./usage.js";

/**
 * Bytes that an upload may yet write: taken from the quotas before they are written, so that uploads at the same time
 * cannot together go beyond a limit, and given back when it fails.
 */
export class QuotaReservation {
  readonly #ledger: UsageLedger;
  readonly #repository: RepositoryPath;
  readonly #quotas: readonly Quota[];
  #reserved = 0;
  #used = 0;

  constructor(ledger: UsageLedger, repository: RepositoryPath, quotas: readonly Quota[]) {
    this.#ledger = ledger;
    this.#repository = repository;
    this.#quotas = quotas;
  }

  /** Makes sure of so many bytes in all. @throws {Refusal} 507 when a quota does not allow them */
  reserve(bytes: number): void {
    const more = bytes - this.#reserved;
    if (more <= 0) return;
    for (const quota of this.#quotas) {
      const there = quota.exact
        ? this.#ledger.bytesOf(quota.folders)
        : this.#ledger.bytesBelow(quota.folders);
      if (there + more > quota.limit) throw new Refusal(507, "Quota exceeded");
    }
    this.#ledger.add(this.#repository, more);
    this.#reserved += more;
  }

  /** Counts bytes that arrived. @throws {Refusal} 507 when they are more than reserved and a quota forbids it */
  use(bytes: number): void {
    this.#used += bytes;
    this.reserve(this.#used);
  }

  /** What was written stays: only what was reserved beyond it is given back. */
  keep(): void {
    this.#giveBack(this.#reserved - this.#used);
  }

  /** Nothing was written after all. */
  release(): void {
    this.#giveBack(this.#reserved);
  }

  #giveBack(bytes: number): void {
    if (bytes > 0) this.#ledger.add(this.#repository, -bytes);
    this.#reserved = 0;
    this.#used = 0;
  }
}
