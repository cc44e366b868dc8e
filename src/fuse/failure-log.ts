/**
 * One line for each failed request, but not the same line again and again: a program that retries a damaged file a
 * thousand times a second must not fill the disk with its log.
 */

export interface FailureLogOptions {
  readonly onLog: ((line: string) => void) | undefined;
  /** A line that was written is not written again for so long; 10,000 when left out. */
  readonly quietMs?: number;
  /** Milliseconds; the clock of the machine when left out. */
  readonly now?: () => number;
}

/** Different lines that are remembered; the oldest is dropped. */
const MAX_REMEMBERED = 256;

export class FailureLog {
  readonly #onLog: ((line: string) => void) | undefined;
  readonly #quietMs: number;
  readonly #now: () => number;
  readonly #seen = new Map<string, { writtenAt: number; suppressed: number }>();

  constructor(options: FailureLogOptions) {
    this.#onLog = options.onLog;
    this.#quietMs = options.quietMs ?? 10_000;
    this.#now = options.now ?? Date.now;
  }

  write(line: string): void {
    if (!this.#onLog) return;
    const now = this.#now();
    const before = this.#seen.get(line);
    if (before && now - before.writtenAt < this.#quietMs) {
      before.suppressed++;
      return;
    }
    this.#seen.delete(line);
    this.#seen.set(line, { writtenAt: now, suppressed: 0 });
    if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(this.#seen.keys().next().value!);
    const repeats = before?.suppressed ? ` (and ${before.suppressed} times more since)` : "";
    try {
      this.#onLog(line + repeats);
    } catch {
      // A log that cannot be written must not become a failed or a missing reply.
    }
  }
}
