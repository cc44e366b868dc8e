/**
 * Numbers of the kernel's FUSE interface (include/uapi/linux/fuse.h), as far as a read-only server meets them. All
 * integers are in host order and little-endian here; 64-bit fields are two 32-bit words, the low one first.
 */

export const FUSE_MAJOR = 7;
/** The newest minor version whose structures this code knows; the kernel adapts to it. */
export const FUSE_MINOR = 38;
/** CACHE_SYMLINKS, NO_OPENDIR_SUPPORT and EXPLICIT_INVAL_DATA in one version (Linux 5.2). */
export const FUSE_MIN_MINOR = 31;

export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

/** Flags of fuse_init_in and fuse_init_out. */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  EXPORT_SUPPORT: 1 << 4,
  DO_READDIRPLUS: 1 << 13,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  EXPLICIT_INVAL_DATA: 1 << 25,
} as const;

/** Flags of fuse_open_out. */
export const OpenFlag = { KEEP_CACHE: 1 << 1, CACHE_DIR: 1 << 3 } as const;

/** `error` of the header of a notification. */
export const Notification = { INVAL_INODE: 2, INVAL_ENTRY: 3 } as const;

/** `whence` of LSEEK, as in lseek(2). */
export const Whence = { SEEK_DATA: 3, SEEK_HOLE: 4 } as const;

/** Sizes of structures, bytes. */
export const Size = {
  IN_HEADER: 40,
  OUT_HEADER: 16,
  ATTR: 88,
  ATTR_OUT: 104,
  ENTRY_OUT: 128,
  DIRENT: 24,
  DIRENTPLUS: 152,
  FORGET_ONE: 16,
  GETXATTR_IN: 8,
  INIT_OUT: 64,
  STATFS_OUT: 80,
} as const;

/** Bits of st_mode that say what kind of thing it is, and how far they lie above `d_type`. */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const DIRENT_TYPE_SHIFT = 12;

/**
 * The kernel sends no request longer than this when `max_write` is 4096, and refuses to be read into less
 * (FUSE_MIN_READ_BUFFER).
 */
export const REQUEST_BYTES = 8192;
export const MAX_WRITE_BYTES = 4096;
/** Pages of 4 KiB in one READ: 1 MiB, the kernel's own limit (fs.fuse.max_pages_limit). */
export const MAX_PAGES = 256;
