import { bytesOfText } from "../bytes/utf8.js";
import { systemCodeOf, YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import { unmountWithHelper } from "./fusermount.js";

/** umount2(2) */
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

export type DetachOutcome = "detached" | "busy" | "not-mounted";

/**
 * Takes the topmost mount at a path out of the tree, as root by umount2(2), otherwise with fusermount3. Asks the file
 * system that is mounted nothing, so it works for dead ones too.
 *
 * @param options.lazy also when it is in use; what is open stays usable as long as it is served
 * @throws {YoreError} with code `mount` for everything but the outcomes
 */
export async function detachMount(
  mountpoint: string,
  options: { readonly lazy: boolean },
): Promise<DetachOutcome> {
  const addon = loadAddon();
  if (addon && "fuseUnmount" in addon) {
    try {
      await addon.fuseUnmount(bytesOfText(mountpoint), UMOUNT_NOFOLLOW | (options.lazy ? MNT_DETACH : 0));
      return "detached";
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === "EBUSY") return "busy";
      if (code === "EINVAL" || code === "ENOENT") return "not-mounted";
      if (code !== "EPERM")
        throw new YoreError("mount", `Cannot unmount "${mountpoint}": ${code}`, { cause: error });
    }
  }
  const { succeeded, words } = await unmountWithHelper(mountpoint, options.lazy);
  if (succeeded) return "detached";
  if (/busy/i.test(words)) return "busy";
  if (/not found in|not mounted|Invalid argument/i.test(words)) return "not-mounted";
  throw new YoreError("mount", `Cannot unmount "${mountpoint}": ${words}`);
}
