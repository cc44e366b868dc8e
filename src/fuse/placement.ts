/**
 * Serves a program on the processor that it runs on while it waits for each answer before it asks for the next. The two
 * take turns then, and on two processors each turn wakes one that has gone to sleep. Measured in a virtual machine: 7 us
 * a GETXATTR on one processor, 30 to 90 us on two, and the scheduler leaves them wherever they happen to be.
 *
 * A thread that asks for much at once, or somebody else who asks, has the server run anywhere again: what can be done side
 * by side shall be.
 */

import type { PlacementFunctions } from "../native/placement-functions.js";
import { Opcode } from "./kernel-abi.js";
import type { KernelRequest } from "./kernel-request.js";

export interface PlacementOptions {
  /** Requests of one thread in a row after which its processor is looked up, again and again. */
  readonly streak?: number;
  /** Milliseconds without another look-up after which the server runs anywhere. */
  readonly lingerMs?: number;
}

const DEFAULT_STREAK = 128;
const DEFAULT_LINGER_MS = 100;
/** A program that reads more at once is busy with that while the next is loaded for it. */
const LARGE_READ_BYTES = 128 * 1024;

export class Placement {
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

  /**
   * Notes what one wake-up has brought.
   *
   * @param count of requests
   * @param request the first of them
   */
  note(count: number, request: Pick<KernelRequest, "opcode" | "pid" | "u32">): void {
    const { pid, opcode } = request;
    // fuse_read_in: fh u64, offset u64, size u32.
    const isLarge = opcode === Opcode.READ && request.u32(16) > LARGE_READ_BYTES;
    if (count > 1 || pid === 0 || pid !== this.#pid || isLarge) {
      this.#pid = pid;
      this.#streak = 0;
      this.roam();
      return;
    }
    if (++this.#streak < this.#streakLength) return;
    this.#streak = 0;
    // The program may have moved on meanwhile.
    if (this.#functions.followThread(pid)) this.#linger();
  }

  /** Runs anywhere. */
  roam(): void {
    if (!this.#leave) return;
    clearTimeout(this.#leave);
    this.#leave = undefined;
    this.#functions.runAnywhere();
  }

  #linger(): void {
    if (this.#leave) this.#leave.refresh();
    else this.#leave = setTimeout(() => this.roam(), this.#lingerMs).unref();
  }
}
