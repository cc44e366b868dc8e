declare const socketBrand: unique symbol;

/** A descriptor of a connection, beside that of Node.js. Closed when the handle is collected. Opaque. */
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
  /** The same for sending. */
  socketWritable(socket: SocketHandle): Promise<void>;
  /**
   * Sends of an open file what the kernel takes at once, without reading it here. Linux only: ENOSYS elsewhere.
   *
   * @param file descriptor, which must stay open until it is settled
   * @param limit bytes, at least 1
   * @returns bytes; 0 when the kernel takes none now, -1 when the file ends at `offset`
   */
  socketSend(socket: SocketHandle, file: number, offset: number, limit: number): Promise<number>;
  /** Receives nothing more: who waits, and who reads, comes to the end. Sending goes on. */
  socketShutdown(socket: SocketHandle): void;
  /** Ends the connection, both ways and for all who have a descriptor of it. */
  socketAbort(socket: SocketHandle): void;
  /**
   * @returns the descriptor, the caller's from now on
   * @throws EBUSY while somebody waits or receives; EBADF the second time
   */
  socketRelease(socket: SocketHandle): number;
  /** Harmless the second time. @throws EBUSY while somebody waits or receives */
  socketClose(socket: SocketHandle): void;
}
