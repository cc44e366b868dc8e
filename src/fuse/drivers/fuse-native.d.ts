/** The part of fuse-native 2.2.6 that the driver uses; the package brings no types. Codes are negative errno. */
declare module "fuse-native" {
  /** Read as numbers; times are milliseconds since 1970. */
  export interface Stat {
    mode: number;
    uid?: number;
    gid?: number;
    size?: number;
    nlink?: number;
    ino?: number;
    rdev?: number;
    blksize?: number;
    blocks?: number;
    atime?: number;
    mtime?: number;
    ctime?: number;
  }

  export interface Operations {
    getattr(path: string, callback: (code: number, stat?: Stat) => void): void;
    readdir(path: string, callback: (code: number, names?: string[], stats?: Stat[]) => void): void;
    readlink(path: string, callback: (code: number, target?: string) => void): void;
    read(
      path: string,
      fd: number,
      buffer: Buffer,
      length: number,
      position: number,
      callback: (lengthOrCode: number) => void,
    ): void;
    statfs(path: string, callback: (code: number, statistics?: Record<string, number>) => void): void;
    getxattr(path: string, name: string, position: number, callback: (code: number) => void): void;
    listxattr(path: string, callback: (code: number) => void): void;
  }

  export interface Options {
    fsname?: string;
    allowOther?: boolean;
    defaultPermissions?: boolean;
    kernelCache?: boolean;
    timeout?: false;
  }

  export default class Fuse {
    constructor(mountpoint: string, operations: Operations, options: Options);
    readonly mnt: string;
    protected _thread: Buffer | null;
    mount(callback: (error: Error | null) => void): void;
    unmount(callback: (error: Error | null) => void): void;
    protected _close(callback: (error: Error | null) => void): void;
    protected _op_getxattr(signal: Signal, path: string, name: string, value: Buffer, position: number): void;
    protected _op_listxattr(signal: Signal, path: string, list: Buffer): void;
  }

  /** Lets the waiting libfuse thread go on. */
  export type Signal = (lengthOrCode: number, memory: ArrayBufferLike) => void;
}
