/**
 * A process that serves the toy tree until it is told otherwise, for tests of what becomes of a mount when its server
 * dies. Arguments: the mountpoint, then options of `mountFilesystem` as JSON. It prints "mounted", or "error" and the
 * message and hint. On SIGTERM it unmounts (lazily if busy), on SIGUSR2 it leaves without unmounting.
 */

import { YoreError } from "../../src/errors.js";
import { type MountOptions, mountFilesystem } from "../../src/fuse/mount.js";
import { ToyFilesystem, toyTree } from "./toy-filesystem.js";

const [mountpoint, options] = process.argv.slice(2);
if (mountpoint === undefined) throw new Error("no mountpoint");
process.on("SIGUSR2", () => process.exit(3));
try {
  const mount = await mountFilesystem(new ToyFilesystem(toyTree().root), {
    mountpoint,
    ...(JSON.parse(options ?? "{}") as Partial<MountOptions>),
  });
  process.on("SIGTERM", () => void mount.unmount({ lazyIfBusy: true, graceMs: 60_000 }));
  console.log("mounted");
  await mount.done;
  console.log("done");
} catch (error) {
  console.log(
    `error ${error instanceof YoreError ? `${error.message} | ${error.hint ?? ""}` : String(error)}`,
  );
  process.exitCode = 1;
}
