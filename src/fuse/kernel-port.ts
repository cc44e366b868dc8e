import { YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import type { FuseChannelHandle } from "../native/fuse-functions.js";
import type { FileContents, NodeId } from "./filesystem.js";

/** The answer to who lists a directory; everything is copied. */
export interface PreparedListing {
  readonly node: NodeId;
  /** Bytes that the kernel must offer. */
  readonly size: number;
  readonly body: Uint8Array;
  /** Position behind the last record, whose request is answered that there is nothing more; 0 when there is more. */
  readonly end: number;
  /** Stored when the kernel asks for the end. */
  readonly files: FileContents | undefined;
}

/** What a session needs to send: the writing half of /dev/fuse. */
export interface KernelPort {
  /** Sends the first `length` bytes of the reply buffer. @returns 0, or the errno with which the kernel refused */
  reply(length: number): number;
  /** Sends the first `headLength` bytes of the reply buffer and at most 1023 pieces behind them. @returns as above */
  replyWithPieces(headLength: number, pieces: readonly Uint8Array[]): number;
  /** Sends a notification some time soon; the message is copied. */
  notify(message: Uint8Array): void;
  /** Sends contents of files some time soon; see `KernelNotifier.store`. */
  store(files: FileContents): number;
  /** See `KernelNotifier.withoutAttributes`. */
  withoutAttributes(nodes: readonly NodeId[]): void;
  /**
   * Keeps the reply to the first READDIRPLUS of a directory, which is sent as soon as the kernel asks.
   *
   * @param slot below PREPARED_SLOTS; what was there is dropped
   */
  prepare(slot: number, listing: PreparedListing): void;
  /** Drops what was prepared. @returns what was left of it */
  withdraw(slot: number): LeftOfPrepared;
}

const NO_CONTENTS: FileContents = { nodes: [], offsets: [], contents: [] };

/** As many as the addon has. */
export const PREPARED_SLOTS = 8;

export const LeftOfPrepared = {
  /** The kernel has asked for everything. */
  NOTHING: 0,
  /** It has asked for nothing. */
  ALL: 1,
  /** It has the records, and has not asked for the end. */
  END: 2,
} as const;
export type LeftOfPrepared = (typeof LeftOfPrepared)[keyof typeof LeftOfPrepared];

/** The port of a channel of the addon. After the channel is closed nobody listens, and replies go nowhere. */
export class ChannelPort implements KernelPort {
  readonly #addon: NonNullable<ReturnType<typeof loadAddon>>;
  readonly #channel: FuseChannelHandle;
  #isOpen = true;

  /** @throws {YoreError} with code `native` when there is no addon */
  constructor(channel: FuseChannelHandle) {
    const addon = loadAddon();
    if (!addon) throw new YoreError("native", "Cannot serve a mount: the native addon is not loaded");
    this.#addon = addon;
    this.#channel = channel;
  }

  /** Begins to deliver requests; see `fuseStart`. */
  start(
    requests: Uint8Array,
    slotBytes: number,
    replies: Uint8Array,
    onRequests: (count: number, answered: number, refused: number, quiet: number) => void,
    onEnd: (errno: number) => void,
  ): void {
    this.#addon.fuseStart(this.#channel, requests, slotBytes, replies, onRequests, onEnd);
  }

  reply(length: number): number {
    return this.#isOpen ? this.#addon.fuseReply(this.#channel, length) : 0;
  }

  replyWithPieces(headLength: number, pieces: readonly Uint8Array[]): number {
    return this.#isOpen ? this.#addon.fuseReplyWithPieces(this.#channel, headLength, pieces) : 0;
  }

  notify(message: Uint8Array): void {
    if (this.#isOpen) this.#addon.fuseNotify(this.#channel, message);
  }

  store({ nodes, offsets, contents }: FileContents): number {
    return this.#isOpen ? this.#addon.fuseStore(this.#channel, nodes, offsets, contents) : 0;
  }

  withoutAttributes(nodes: readonly NodeId[]): void {
    if (this.#isOpen) this.#addon.fusePlain(this.#channel, nodes);
  }

  prepare(slot: number, { node, size, body, end, files }: PreparedListing): void {
    if (!this.#isOpen) return;
    const { nodes, offsets, contents } = files ?? NO_CONTENTS;
    this.#addon.fusePrepare(this.#channel, slot, node, size, body, end, nodes, offsets, contents);
  }

  withdraw(slot: number): LeftOfPrepared {
    return this.#addon.fuseWithdraw(this.#channel, slot) as LeftOfPrepared;
  }

  /** Ends the connection. */
  close(): void {
    this.#isOpen = false;
    this.#addon.fuseClose(this.#channel);
  }
}
