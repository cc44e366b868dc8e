import { formatProgress } from "./progress-renderer.js";
import { formatDuration } from "./units.js";

/** How far a long command is, in the phase that it is in. */
export interface PhaseState {
  readonly phase: string;
  readonly done: number;
  /** 0 while it is not known. */
  readonly total: number;
  /** What is counted, and whatever else is worth saying; goes behind the numbers. */
  readonly what: string;
  /** What the time goes by, where that is not what is counted: bytes of packs, trees of snapshots. */
  readonly work?: { readonly done: number; readonly total: number } | undefined;
}

/**
 * How long the present phase will still take, at its pace since it was first asked about. A count that is only bounded
 * above makes it the most that it can take.
 */
export class Pace {
  #phase: string | undefined;
  #since = 0;
  #doneBefore = 0;
  #last = 0;

  /** @returns whole seconds; 0 while nothing can be said */
  remainingSeconds(elapsedSeconds: number, phase: string, done: number, total: number): number {
    if (phase !== this.#phase || done < this.#last) {
      this.#phase = phase;
      this.#since = elapsedSeconds;
      this.#doneBefore = done;
    }
    this.#last = done;
    const doneSince = done - this.#doneBefore;
    if (doneSince <= 0 || total <= done) return 0;
    return Math.ceil(((elapsedSeconds - this.#since) / doneSince) * (total - done));
  }
}

/** What `--json` prints of it. */
export interface PhaseStatus {
  readonly message_type: "status";
  readonly phase: string;
  readonly seconds_elapsed: number;
  readonly seconds_remaining: number | undefined;
  readonly done: number;
  /** 0 while it is not known. */
  readonly total: number;
}

/** Shows phases as lines for people and as status messages for programs; both are for `startProgress`. */
export class PhaseView {
  readonly #state: () => PhaseState | undefined;
  readonly #pace = new Pace();

  /** @param state asked whenever something is shown; nothing is shown when it knows nothing */
  constructor(state: () => PhaseState | undefined) {
    this.#state = state;
  }

  readonly lines = (elapsedSeconds: number): readonly string[] => {
    const state = this.#state();
    if (!state) return [];
    const remaining = this.#remainingSeconds(elapsedSeconds, state);
    const eta = remaining > 0 ? ` ETA ${formatDuration(remaining)}` : "";
    return [formatProgress(elapsedSeconds, state.done, state.total, state.what) + eta];
  };

  readonly status = (elapsedSeconds: number): PhaseStatus | undefined => {
    const state = this.#state();
    if (!state) return undefined;
    return {
      message_type: "status",
      phase: state.phase,
      seconds_elapsed: Math.floor(elapsedSeconds),
      seconds_remaining: this.#remainingSeconds(elapsedSeconds, state) || undefined,
      done: state.done,
      total: state.total,
    };
  };

  #remainingSeconds(elapsedSeconds: number, { phase, done, total, work }: PhaseState): number {
    return this.#pace.remainingSeconds(elapsedSeconds, phase, work?.done ?? done, work?.total ?? total);
  }
}
