import type { GlobalOptions } from "./global-options.js";
import type { Io } from "./output.js";
import { formatDuration, formatPercent } from "./units.js";

const TERMINAL_INTERVAL_MS = 1000 / 10;
const JSON_INTERVAL_MS = 100;

/**
 * Polls what is going on and shows it, as restic does: on a terminal a few lines are drawn again and again; with
 * `--json` a status line is printed ten times a second; in a pipe nothing, unless YORE_PROGRESS_FPS asks for it.
 * SIGUSR1 (SIGINFO where there is one) prints one line at once, wherever the output goes. `--quiet` shows nothing.
 */
export class ProgressRenderer {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #lines: (elapsedSeconds: number) => readonly string[];
  readonly #status: ((elapsedSeconds: number) => unknown) | undefined;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    io: Io,
    global: Pick<GlobalOptions, "json" | "verbosity" | "progressFps">,
    lines: (elapsedSeconds: number) => readonly string[],
    status?: (elapsedSeconds: number) => unknown,
  ) {
    this.#io = io;
    this.#json = global.json;
    this.#lines = lines;
    this.#status = status;
    const intervalMs = this.#intervalMs(global);
    if (intervalMs !== undefined) {
      this.#timer = setInterval(() => this.#tick(), intervalMs);
      this.#timer.unref();
    }
    process.on("SIGUSR1", this.#onSignal);
    if (process.platform === "darwin" || process.platform === "freebsd")
      process.on("SIGINFO", this.#onSignal);
  }

  /** Takes everything away that was drawn. Harmless when called again. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    process.off("SIGUSR1", this.#onSignal);
    process.off("SIGINFO", this.#onSignal);
    this.#io.status.hide();
  }

  #intervalMs(global: Pick<GlobalOptions, "json" | "verbosity" | "progressFps">): number | undefined {
    if (global.verbosity === 0) return undefined;
    if (global.progressFps !== undefined) return 1000 / global.progressFps;
    if (global.json) return JSON_INTERVAL_MS;
    return this.#io.status.usable ? TERMINAL_INTERVAL_MS : undefined;
  }

  get #elapsedSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  #tick(): void {
    if (this.#json) {
      this.#printStatus();
    } else if (this.#io.status.usable) {
      this.#io.status.show(this.#lines(this.#elapsedSeconds));
    } else {
      this.#printOnce();
    }
  }

  readonly #onSignal = (): void => {
    if (this.#json && this.#status) this.#printStatus();
    else this.#printOnce();
  };

  #printStatus(): void {
    const status = this.#status?.(this.#elapsedSeconds);
    if (status !== undefined) this.#io.stdout.json(status);
  }

  #printOnce(): void {
    const [first] = this.#lines(this.#elapsedSeconds);
    if (first) this.#io.stdout.line(first);
  }
}

/** "[0:05] 23.45%  12 / 34 packs", as restic writes it; without a total "[0:05] 12 packs". */
export function formatProgress(elapsedSeconds: number, done: number, total: number, what: string): string {
  const time = `[${formatDuration(elapsedSeconds)}]`;
  if (total <= 0) return `${time} ${done} ${what}`;
  return `${time} ${formatPercent(done, total)}  ${done} / ${total} ${what}`;
}
