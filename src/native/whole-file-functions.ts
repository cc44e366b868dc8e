/** Functions of native/src/whole_files.cc. Links are followed. */
export interface WholeFileFunctions {
  /**
   * The contents of plain files, one after the other.
   *
   * @param paths each followed by a zero
   * @param limit in bytes, below 2 GiB
   * @returns for each `undefined` if it is longer, or cannot be had, for whatever reason
   */
  readWhole(paths: Uint8Array, limit: number): Promise<(Buffer | undefined)[]>;
  /**
   * @param names of the folder's files, each followed by a zero
   * @returns for each its size in bytes; -1 where there is no plain file of that name, NaN where that cannot be told
   */
  fileSizes(folder: Uint8Array, names: Uint8Array): Promise<Float64Array>;
}
