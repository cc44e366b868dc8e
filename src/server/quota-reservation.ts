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

  /**
   * Makes sure of so many bytes in all, as the client announces them. Without a quota that holds it in bounds, it is only a
   * claim: then bytes count as they arrive.
   *
   * @throws {Refusal} 507 when a quota does not allow them
   */
  announce(bytes: number): void {
    if (this.#quotas.length > 0) this.#reserve(bytes);
  }

  /** Counts bytes that arrived. @throws {Refusal} 507 when they are more than reserved and a quota forbids it */
  use(bytes: number): void {
    this.#used += bytes;
    this.#reserve(this.#used);
  }

  /** What was written stays. */
  keep(): void {
    this.#ledger.add(this.#repository, this.#used);
    this.release();
  }

  /** Nothing is under way any more. */
  release(): void {
    this.#ledger.reserve(this.#repository, -this.#reserved);
    this.#reserved = 0;
    this.#used = 0;
  }

  #reserve(bytes: number): void {
    const more = bytes - this.#reserved;
    if (more <= 0) return;
    for (const quota of this.#quotas) {
      const there = quota.exact
        ? this.#ledger.bytesOf(quota.folders)
        : this.#ledger.bytesBelow(quota.folders);
      if (there + more > quota.limit) throw new Refusal(507, "Quota exceeded");
    }
    this.#ledger.reserve(this.#repository, more);
    this.#reserved += more;
  }
}
