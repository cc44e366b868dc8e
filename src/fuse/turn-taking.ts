import { Opcode } from "./kernel-abi.js";
import type { KernelRequest } from "./kernel-request.js";

/**
 * A program that waits for each answer before it asks for the next takes turns with the server. Each turn wakes one of
 * the two that has just gone to sleep, and where they run on two processors of a virtual machine that costs ten times what
 * the answer does: the host has to wake the processor. Implementations do something about it while such a program is at
 * work.
 */
export interface TurnTaking {
  /**
   * Notes what one wake-up has brought.
   *
   * @param count of requests
   * @param request the first of them
   * @param quiet turns with whoever it was since the last time, of which nothing else is known
   */
  note(count: number, request: NotedRequest, quiet?: number): void;
  /** Leaves the machine as it was. */
  stop(): void;
}

/** What of a request is looked at. */
export type NotedRequest = Pick<KernelRequest, "opcode" | "pid" | "u32">;

/** A program that reads more at once is busy with that while the next is loaded for it. */
const LARGE_READ_BYTES = 128 * 1024;

/** Whether somebody waits for this one answer. */
export function isTurn(count: number, request: NotedRequest): boolean {
  // fuse_read_in: fh u64, offset u64, size u32.
  return count === 1 && !(request.opcode === Opcode.READ && request.u32(16) > LARGE_READ_BYTES);
}
