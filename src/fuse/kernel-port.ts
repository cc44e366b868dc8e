import { YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import type { FuseChannelHandle } from "../native/fuse-functions.js";

/** What a session needs to send: the writing half of /dev/fuse. */
export interface KernelPort {
  /** Sends the first `length` bytes of the reply buffer. @returns 0, or the errno with which the kernel refused */
  reply(length: number): number;
  /** Sends the first `headLength` bytes of the reply buffer and at most 1023 pieces behind them. @returns as above */
  replyWithPieces(headLength: number, pieces: readonly Uint8Array[]): number;
  /** Sends a notification some time soon; the message is copied. */
  notify(message: Uint8Array): void;
}

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
    onRequests: (count: number) => void,
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

  /** Ends the connection. */
  close(): void {
    this.#isOpen = false;
    this.#addon.fuseClose(this.#channel);
  }
}
