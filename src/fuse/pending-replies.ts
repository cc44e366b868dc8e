import type { YoreError } from "../errors.js";
import type { NodeId } from "./filesystem.js";
import type { Reply } from "./reply.js";

export interface PendingRepliesOptions {
  /** For each answer of its own, milliseconds. */
  readonly deadlineMs: number;
  /** A request of this node is not pending any more. */
  readonly onSettled: (node: NodeId) => void;
}

/**
 * The requests whose answers are promises. All have the same deadline, so the one that was begun first expires first
 * and one timer serves them all. A buffered read cannot be interrupted: without a deadline its reader would wait for
 * ever, and could not even be killed.
 */
export class PendingReplies {
  readonly #deadlineMs: number;
  readonly #onSettled: (node: NodeId) => void;
  /** In the order in which they expire. */
  readonly #replies = new Map<string, { readonly reply: Reply; readonly expiresAt: number }>();
  readonly #countByNode = new Map<NodeId, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PendingRepliesOptions) {
    this.#deadlineMs = options.deadlineMs;
    this.#onSettled = options.onSettled;
  }

  get size(): number {
    return this.#replies.size;
  }

  isPending(node: NodeId): boolean {
    return this.#countByNode.has(node);
  }

  add(reply: Reply): void {
    this.#replies.set(reply.key, { reply, expiresAt: performance.now() + this.#deadlineMs });
    this.#countByNode.set(reply.node, (this.#countByNode.get(reply.node) ?? 0) + 1);
    this.#arm();
  }

  /** The reply was sent, whatever it was. */
  settle(reply: Reply): void {
    if (this.#replies.get(reply.key)?.reply !== reply) return;
    this.#replies.delete(reply.key);
    const count = this.#countByNode.get(reply.node)! - 1;
    if (count > 0) this.#countByNode.set(reply.node, count);
    else this.#countByNode.delete(reply.node);
    this.#onSettled(reply.node);
  }

  /** INTERRUPT. A request that is not pending has been answered already. */
  interrupt(key: string): void {
    const found = this.#replies.get(key);
    if (!found) return;
    found.reply.interrupt();
    this.settle(found.reply);
  }

  /** Nobody waits for the answers, but the kernel wants replies. */
  failAll(reason: YoreError): void {
    for (const { reply } of [...this.#replies.values()]) {
      reply.giveUp(reason);
      this.settle(reply);
    }
  }

  /** The connection has ended. */
  abandonAll(reason: YoreError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { reply } of [...this.#replies.values()]) {
      reply.abandon(reason);
      this.settle(reply);
    }
  }

  #arm(): void {
    if (this.#timer) return;
    const first = this.#replies.values().next();
    if (first.done) return;
    const waitMs = Math.max(first.value.expiresAt - performance.now(), 1);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expire();
    }, waitMs);
    // The channel keeps the event loop alive, not this.
    this.#timer.unref();
  }

  #expire(): void {
    const now = performance.now();
    for (const { reply, expiresAt } of [...this.#replies.values()]) {
      if (expiresAt > now) break;
      reply.expire(this.#deadlineMs);
      this.settle(reply);
    }
    this.#arm();
  }
}
