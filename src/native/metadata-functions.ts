/** Functions of native/src/metadata.cc. */
export interface MetadataFunctions {
  /**
   * Carries out a program of file system calls (drawn in native/src/file_calls.h, encoded by
   * src/restorer/native-file-calls.ts) below a root directory, in order, in one hop, following no symbolic link.
   * The program must not be changed before the promise resolves.
   *
   * @returns pairs: position of a call that failed, its errno (positive; negative when only the status of a file
   * could not be set, see there). A failure does not stop what follows
   */
  runFileCalls(root: Uint8Array, program: Uint8Array): Promise<Int32Array>;
  /**
   * Opens a path beneath a root directory, following no symbolic link on the whole way.
   *
   * @param flags as of open(2); with O_CREAT the mode is 0600
   * @returns a descriptor that the caller must close
   * @throws an error with `code`, as those of node:fs
   */
  openBeneath(root: Uint8Array, path: Uint8Array, flags: number): Promise<number>;
  /** Names of the extended attributes of a path that is not followed, each with a zero byte behind it. */
  listXattrNames(path: Uint8Array): Promise<Uint8Array>;
}
