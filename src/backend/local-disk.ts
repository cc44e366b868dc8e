import { statfs } from "node:fs/promises";
import { systemPath } from "../bytes/system-path.js";

/**
 * File systems whose folders this machine's kernel alone changes, by their numbers in statfs(2): a listing that begins
 * after a file was renamed into a folder shows it, to every program. Not those of a network or of a user's program (NFS,
 * SMB, FUSE, 9p): their listings may be copies from before.
 */
const LOCAL_DISKS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x2fc12fc1, // ZFS
  0x3153464a, // JFS
  0x52654973, // ReiserFS
  0x3434, // NILFS2
  0x4d44, // FAT
  0x2011bab0, // exFAT
  0x01021994, // tmpfs
  0x858458f6, // ramfs
]);

/** Whether a folder, there or not yet there, lies on a disk of this machine. False when that cannot be told. */
export async function isOnLocalDisk(path: string): Promise<boolean> {
  try {
    return LOCAL_DISKS.has((await statfs(systemPath(path))).type);
  } catch {
    return false;
  }
}
