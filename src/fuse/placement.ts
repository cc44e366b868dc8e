/**
 * Serves a program on the processor that it runs on while it waits for each answer before it asks for the next. The two
 * take turns then, and on two processors each turn wakes one that has gone to sleep. Measured in a virtual machine: 7 us
 * a GETXATTR on one processor, 30 to 90 us on two, and the scheduler leaves them wherever they happen to be.
 *
 * A thread that asks for much at once, or somebody else who asks, has the server run anywhere again: what can be done side
 * by side shall be.
 */

import type { PlacementFunctions } from "../native/placement-functions.js";
import { isTurn, type NotedRequest, type TurnTaking } from "./turn-taking.js";

export interface PlacementOptions {
  /** Requests of one thread in a row after which its processor is looked up, again and again. */
  readonly streak?: number;
  /** Milliseconds without another look-up after which the server runs anywhere. */
  readonly lingerMs?: number;
}

const DEFAULT_STREAK = 128;
const DEFAULT_LINGER_MS = 100;

export class Placement implements TurnTaking {
  readonly #functions: PlacementFunctions;
  readonly #streakLength: number;
  readonly #lingerMs: number;
  #pid = 0;
  #streak = 0;
  #leave: NodeJS.Timeout | undefined;

  constructor(functions: PlacementFunctions, options: PlacementOptions = {}) {
    this.#functions = functions;
    this.#streakLength = options.streak ?? DEFAULT_STREAK;
    this.#lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS;
  }

  note(count: number, request: NotedRequest, quiet = 0): void {
    const { pid } = request;
    if (!isTurn(count, request) || pid === 0 || pid !== this.#pid) {
      this.#pid = pid;
      this.#streak = 0;
      this.stop();
      return;
    }
    this.#streak += 1 + quiet;
    if (this.#streak < this.#streakLength) return;
    this.#streak = 0;
    // The program may have moved on meanwhile.
    if (this.#functions.followThread(pid)) this.#linger();
  }

  /** Runs anywhere. */
  stop(): void {
    if (!this.#leave) return;
    clearTimeout(this.#leave);
    this.#leave = undefined;
    this.#functions.runAnywhere();
  }

  #linger(): void {
    if (this.#leave) this.#leave.refresh();
    else this.#leave = setTimeout(() => this.stop(), this.#lingerMs).unref();
  }
}
