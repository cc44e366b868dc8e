declare const fuseChannelBrand: unique symbol;
/** A mounted, open /dev/fuse. Opaque. */
export type FuseChannelHandle = object & { readonly [fuseChannelBrand]: true };

/** Implemented in `native/src/fuse_functions.cc` and `fuse_mount.cc`. They exist on Linux only. */
export interface FuseFunctions {
  /**
   * Opens /dev/fuse and calls mount(2).
   *
   * @param data mount data without `fd=`
   * @throws an error as those of node:fs; `syscall` is "open" (then `code` is about /dev/fuse) or "mount"
   */
  fuseMount(
    mountpoint: Uint8Array,
    source: string,
    type: string,
    flags: number,
    data: string,
  ): Promise<FuseChannelHandle>;
  /**
   * Lets fusermount3 mount and hand over the descriptor.
   *
   * @throws an error with `syscall` "spawn" when there is no such helper; an error with `code` "ERR_FUSE_HELPER" and
   * the helper's own words as its message when the helper refuses
   */
  fuseMountWithHelper(helper: string, mountpoint: Uint8Array, options: string): Promise<FuseChannelHandle>;
  /**
   * Polls the channel in the event loop, which it keeps alive.
   *
   * @param requests split into slots of `slotBytes` (8192 or more); request n of a call lies in slot n, and is
   * overwritten after the call
   * @param replies whose beginning `fuseReply` sends
   * @param onRequests also called, with a count of 0, when prepared replies were sent; `answered` and `refused` have a bit
   * for each slot of `fusePrepare` whose entries the kernel took or refused since the last call, `quiet` says how many
   * requests `fusePlain` has spared since then
   * @param onEnd called once with the errno that ended the connection, ENODEV when it was unmounted
   */
  fuseStart(
    channel: FuseChannelHandle,
    requests: Uint8Array,
    slotBytes: number,
    replies: Uint8Array,
    onRequests: (count: number, answered: number, refused: number, quiet: number) => void,
    onEnd: (errno: number) => void,
  ): void;
  /** Sends the first `length` bytes of the reply buffer. @returns 0, or the errno with which the kernel refused */
  fuseReply(channel: FuseChannelHandle, length: number): number;
  /** Sends the first `headLength` bytes of the reply buffer and at most 1023 pieces behind them. @returns as above */
  fuseReplyWithPieces(channel: FuseChannelHandle, headLength: number, pieces: readonly Uint8Array[]): number;
  /**
   * Keeps the reply to the first READDIRPLUS of a directory until it is asked for, and sends it then without JavaScript.
   *
   * @param slot 0 to 7; what was there is dropped
   * @param size room that the kernel must offer
   * @param body copied
   * @param end cookie of the request that follows, which is answered that there is nothing more; 0 when there is more.
   * While such an end is waited for, `onRequests` is not called
   * @param nodes with their `offsets` and `contents` are stored, as by `fuseStore`, when the kernel asks for the end
   */
  fusePrepare(
    channel: FuseChannelHandle,
    slot: number,
    node: number,
    size: number,
    body: Uint8Array,
    end: number,
    nodes: readonly number[],
    offsets: readonly number[],
    contents: readonly Uint8Array[],
  ): void;
  /** Drops what is prepared. @returns 0 when nothing was left, 1 when all was, 2 when only the end was */
  fuseWithdraw(channel: FuseChannelHandle, slot: number): number;
  /** From here on who asks for extended attributes of these nodes is told, without JavaScript, that there are none. */
  fusePlain(channel: FuseChannelHandle, nodes: readonly number[]): void;
  /** Queues a notification; it is copied, and written by a thread of its own. */
  fuseNotify(channel: FuseChannelHandle, message: Uint8Array): void;
  /**
   * Queues contents of files for the kernel's page cache, at most 4 MiB at a time; they are copied, and written by a thread of
   * their own. What the kernel does not know, or has pages of already, does no harm.
   *
   * @param contents of one node and at one offset each, at most 2 MiB
   * @returns how many, from the first on, there was room for
   */
  fuseStore(
    channel: FuseChannelHandle,
    nodes: readonly number[],
    offsets: readonly number[],
    contents: readonly Uint8Array[],
  ): number;
  /** Ends the connection: what is pending fails in the kernel. Calling it again does nothing. */
  fuseClose(channel: FuseChannelHandle): void;
  /** umount2(2). @throws an error as those of node:fs */
  fuseUnmount(mountpoint: Uint8Array, flags: number): Promise<void>;
  /** umount2(2) with MNT_DETACH at once, for the last moment of a process. @returns 0 or the errno */
  fuseDetachNow(mountpoint: Uint8Array): number;
}
