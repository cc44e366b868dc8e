/**
 * The one place where an error becomes an errno. Nothing below this edge knows errno, and nothing above it an error
 * class. Only what a program can act upon gets a number of its own; whatever keeps data from being read is EIO.
 */

import { constants } from "node:os";
import { type ErrorCode, YoreError } from "../errors.js";

export const Errno = {
  EIO: constants.errno.EIO,
  EINTR: constants.errno.EINTR,
  EINVAL: constants.errno.EINVAL,
  ENAMETOOLONG: constants.errno.ENAMETOOLONG,
  ENODATA: constants.errno.ENODATA,
  ENODEV: constants.errno.ENODEV,
  ENOENT: constants.errno.ENOENT,
  ENOSYS: constants.errno.ENOSYS,
  ENOTSUP: constants.errno.EOPNOTSUPP,
  ENXIO: constants.errno.ENXIO,
  EPROTO: constants.errno.EPROTO,
  ERANGE: constants.errno.ERANGE,
  EROFS: constants.errno.EROFS,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  "not-found": Errno.ENOENT,
  "not-supported": Errno.ENOTSUP,
  interrupted: Errno.EINTR,
  usage: Errno.EINVAL,
};

/** The errno of anything that a filesystem threw. */
export function errnoOf(error: unknown): number {
  return (error instanceof YoreError ? BY_CODE[error.code] : undefined) ?? Errno.EIO;
}

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Of names that share a number, the one that Linux programs print.
NAMES.set(Errno.ENOTSUP, "ENOTSUP");

/** "EIO" for 5. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}
