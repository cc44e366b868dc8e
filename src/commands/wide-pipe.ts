import { loadAddon } from "../native/addon.js";

/**
 * Lets the pipe at the other end of a stream hold 1 MiB instead of 64 KiB, for who passes on megabytes: those at its ends
 * then seldom wait for each other, and `dump` of 79,000 files into `tar` takes 5.7 s instead of 7.5 s. Does nothing where
 * there is no pipe.
 */
export function widenPipe({ fd }: { readonly fd?: number | undefined }): void {
  if (fd !== undefined) loadAddon()?.widenPipe(fd);
}
