import { bytesOfText } from "../bytes/utf8.js";
import { YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import { detachMount } from "./detach-mount.js";
import { detachWithHelperNow } from "./fusermount.js";
import { findMount, findMountNow } from "./mount-table.js";

/**
 * Where a mount of this process is. It sees to it that the mount is never left behind dead, and that never another
 * mount at the same place is taken for it.
 */
export class MountPlace {
  readonly mountpoint: string;
  /** "major:minor"; `undefined` where there is no table of mounts. */
  readonly device: string | undefined;
  readonly #onExit = () => this.#detachNow();

  private constructor(mountpoint: string, device: string | undefined) {
    this.mountpoint = mountpoint;
    this.device = device;
    process.on("exit", this.#onExit);
  }

  /** Of what has just been mounted. */
  static async of(mountpoint: string): Promise<MountPlace> {
    return new MountPlace(mountpoint, (await findMount(mountpoint))?.device);
  }

  /** Whether the topmost mount at the mountpoint is this one. */
  async isThere(): Promise<boolean> {
    const device = (await findMount(this.mountpoint))?.device;
    return device !== undefined && (this.device === undefined || device === this.device);
  }

  /**
   * Takes the mount out of the tree.
   *
   * @returns "gone", or "lazy" when somebody still uses what is open in it
   * @throws {YoreError} with code `mount` when it is in use and `lazyIfBusy` is not set
   */
  async unmount(lazyIfBusy: boolean): Promise<"gone" | "lazy"> {
    if (!(await this.isThere())) return "gone";
    if ((await detachMount(this.mountpoint, { lazy: false })) !== "busy") return "gone";
    if (!lazyIfBusy)
      throw new YoreError("mount", `Cannot unmount "${this.mountpoint}": it is in use`, {
        hint: "Close the files that are open in it, and leave it with every shell",
      });
    await detachMount(this.mountpoint, { lazy: true });
    return "lazy";
  }

  /** Nobody serves the mount any more. When its connection was aborted it is still in the tree. */
  async leave(): Promise<void> {
    process.off("exit", this.#onExit);
    if (this.device !== undefined && (await this.isThere()))
      await detachMount(this.mountpoint, { lazy: true });
  }

  /** The process ends without having unmounted. */
  #detachNow(): void {
    const mount = findMountNow(this.mountpoint);
    if (!mount || mount.device !== this.device) return;
    const addon = loadAddon();
    const isDetached =
      addon && "fuseDetachNow" in addon && addon.fuseDetachNow(bytesOfText(this.mountpoint)) === 0;
    if (!isDetached) detachWithHelperNow(this.mountpoint);
  }
}
