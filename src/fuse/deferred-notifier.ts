import type { FileContents, KernelNotifier, NodeId } from "./filesystem.js";
import { Notification, Size } from "./kernel-abi.js";
import type { KernelPort } from "./kernel-port.js";
import { ReplyBuffer } from "./reply-buffer.js";

/**
 * Tells the kernel what has changed, at a moment when it can listen. For an entry the kernel takes the lock of the
 * directory, for a node that of its pages, and somebody who waits for our answer may hold it. So a notification waits
 * until no answer about its node is pending; the little that can still come between is why the channel writes
 * notifications on a thread of their own.
 *
 *     fuse_notify_inval_inode_out   nodeid u64, offset i64, length i64
 *     fuse_notify_inval_entry_out   parent u64, namelen u32, flags u32, name, zero
 */
export class DeferredNotifier implements KernelNotifier {
  readonly #port: KernelPort;
  readonly #isPending: (node: NodeId) => boolean;
  readonly #buffer = new ReplyBuffer();
  readonly #deferred = new Map<NodeId, Map<string, Uint8Array>>();
  #isOpen = true;

  constructor(port: KernelPort, isPending: (node: NodeId) => boolean) {
    this.#port = port;
    this.#isPending = isPending;
  }

  invalidateEntry(parent: NodeId, name: Buffer): void {
    const message = this.#encode(Notification.INVAL_ENTRY, (buffer) => {
      const at = buffer.take(16);
      buffer.setU64(at, parent);
      buffer.setU32(at + 8, name.length);
      buffer.append(name);
      buffer.take(1);
    });
    this.#send(parent, `entry ${name.toString("latin1")}`, message);
  }

  /** Attributes and everything of the content. */
  invalidateNode(node: NodeId): void {
    const message = this.#encode(Notification.INVAL_INODE, (buffer) => {
      buffer.setU64(buffer.take(24), node);
    });
    this.#send(node, "node", message);
  }

  /** Not deferred: an answer about the node that is pending only makes the thread of the contents wait. */
  store(files: FileContents): number {
    return this.#isOpen ? this.#port.store(files) : 0;
  }

  withoutAttributes(nodes: readonly NodeId[]): void {
    if (this.#isOpen) this.#port.withoutAttributes(nodes);
  }

  /** Sends what waited for this node. */
  onSettled(node: NodeId): void {
    const waiting = this.#deferred.get(node);
    if (!waiting || this.#isPending(node)) return;
    this.#deferred.delete(node);
    for (const message of waiting.values()) this.#port.notify(message);
  }

  close(): void {
    this.#isOpen = false;
    this.#deferred.clear();
  }

  #send(node: NodeId, key: string, message: Uint8Array): void {
    if (!this.#isOpen) return;
    const waiting = this.#deferred.get(node);
    if (!this.#isPending(node)) this.#port.notify(message);
    else if (waiting) waiting.set(key, message);
    else this.#deferred.set(node, new Map([[key, message]]));
  }

  /** A notification is a reply to nothing: its code stands where an errno would. */
  #encode(code: number, body: (buffer: ReplyBuffer) => void): Uint8Array {
    const buffer = this.#buffer;
    buffer.begin();
    body(buffer);
    buffer.header(0, 0, -code, buffer.length - Size.OUT_HEADER);
    return Uint8Array.prototype.slice.call(buffer.bytes, 0, buffer.length);
  }
}
