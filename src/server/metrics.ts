import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { FileType } from "../backend/backend.js";
import { FOLDERS } from "../backend/local-layout.js";
import type { PolicyKeeper } from "./policy.js";
import type { RepositoryPath } from "./request-target.js";
import { isStale } from "./stale-alarms.js";
import { keyOf, type RepositoryUsage, type UsageLedger } from "./usage.js";

/** Seconds; a lock is a few milliseconds, a pack over a slow line minutes. */
const DURATION_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

const BLOB_LABELS = ["user", "repo", "type"] as const;

/**
 * What Prometheus sees. The `rest_server_blob_*` counters are those of rest-server, labels included; the others say
 * whether backups arrive, from names and times of files alone. Nothing here depends on a password.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #transfers: Readonly<Record<Transfer, { files: Counter<BlobLabel>; bytes: Counter<BlobLabel> }>>;
  readonly #requests: Histogram<"method" | "status">;
  readonly #failures: Counter<"status">;
  readonly #connections: Gauge;

  constructor(usage: UsageLedger, policy: PolicyKeeper) {
    collectDefaultMetrics({ register: this.#registry });
    this.#transfers = {
      read: this.#transfer("read", "read from"),
      write: this.#transfer("write", "written to"),
      delete: this.#transfer("delete", "deleted from"),
    };
    this.#requests = new Histogram({
      name: "yore_server_request_duration_seconds",
      help: "Time from a request to the end of its answer",
      labelNames: ["method", "status"],
      buckets: DURATION_BUCKETS,
      registers: [this.#registry],
    });
    this.#failures = new Counter({
      name: "yore_server_failures_total",
      help: "Requests that were refused or failed",
      labelNames: ["status"],
      registers: [this.#registry],
    });
    this.#connections = this.#gauge("yore_server_open_connections", "Connections that are open", []);
    this.#watchUsage(usage);
    this.#watchAge(usage, policy);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** @param user "" when there is none */
  count(transfer: Transfer, user: string, repository: RepositoryPath, type: FileType, bytes: number): void {
    const labels = { user, repo: keyOf(repository), type: type === "config" ? "config" : FOLDERS[type] };
    this.#transfers[transfer].files.inc(labels);
    this.#transfers[transfer].bytes.inc(labels, bytes);
  }

  observe(method: string, status: number, seconds: number): void {
    this.#requests.observe({ method, status }, seconds);
    if (status >= 400) this.#failures.inc({ status });
  }

  connections(change: 1 | -1): void {
    this.#connections.inc(change);
  }

  #transfer(name: string, verb: string) {
    const counter = (suffix: string, what: string) =>
      new Counter({
        name: `rest_server_blob_${name}_${suffix}`,
        help: `Total number of ${what} ${verb} the server`,
        labelNames: BLOB_LABELS,
        registers: [this.#registry],
      });
    return { files: counter("total", "files"), bytes: counter("bytes_total", "bytes") };
  }

  #gauge<T extends string>(name: string, help: string, labelNames: readonly T[], collect?: () => void) {
    return new Gauge<T>({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      ...(collect && { collect }),
    });
  }

  #watchUsage(usage: UsageLedger): void {
    const watch = (name: string, help: string, read: (of: UsageOf) => number) => {
      const gauge: Gauge<"repo"> = this.#gauge(name, help, ["repo"], () => {
        gauge.reset();
        for (const [repo, of] of usage.entries()) gauge.set({ repo }, read(of));
      });
    };
    watch("yore_server_repository_bytes", "Size of a repository's files", (of) => Math.max(0, of.bytes));
    watch(
      "yore_server_repository_deleted_bytes",
      "Size of what was deleted in a repository and is kept for a while",
      (of) => of.deletedBytes,
    );
    watch("yore_server_repository_snapshots", "Number of a repository's snapshots", (of) => of.snapshots);
    watch(
      "yore_server_repository_last_snapshot_timestamp_seconds",
      "When the newest snapshot of a repository arrived here, 0 when there is none",
      (of) => of.lastSnapshotMs / 1000,
    );
  }

  /** Only of the repositories that have a limit. */
  #watchAge(usage: UsageLedger, policy: PolicyKeeper): void {
    const gauge: Gauge<"repo"> = this.#gauge(
      "yore_server_repository_stale",
      "1 when the newest snapshot of a repository is older than stale-after allows",
      ["repo"],
      () => {
        gauge.reset();
        for (const [repo, of] of usage.entries()) {
          const staleAfterMs = policy.staleAfterMs(repo);
          if (staleAfterMs !== undefined) gauge.set({ repo }, isStale(of, staleAfterMs, Date.now()) ? 1 : 0);
        }
      },
    );
  }
}

export type Transfer = "read" | "write" | "delete";

type BlobLabel = (typeof BLOB_LABELS)[number];

type UsageOf = Readonly<RepositoryUsage>;
