declare const socketBrand: unique symbol;

/** A connection that has left Node.js for a while. Closed when the handle is collected. Opaque. */
export type SocketHandle = object & { readonly [socketBrand]: true };

/** Functions of native/src/body_socket.cc. Failures throw or reject with an error as those of node:fs. */
export interface BodySocketFunctions {
  /** @param fd of a socket that does not block; may be closed afterwards, the connection stays open */
  socketTake(fd: number): SocketHandle;
  /**
   * Resolves when there is something to be read, or there will be no more. One wait at a time, and none while something is
   * received: EBUSY otherwise.
   */
  socketReadable(socket: SocketHandle): Promise<void>;
  /** Receives nothing more: who waits, and who reads, comes to the end. Sending goes on. */
  socketShutdown(socket: SocketHandle): void;
  /**
   * @returns the descriptor, the caller's from now on
   * @throws EBUSY while somebody waits or receives; EBADF the second time
   */
  socketRelease(socket: SocketHandle): number;
  /** Harmless the second time. @throws EBUSY while somebody waits or receives */
  socketClose(socket: SocketHandle): void;
}
