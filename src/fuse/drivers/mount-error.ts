/** What the kernel or fusermount3 said about a mount that failed, in words that help. */

import { messageOf, systemCodeOf, YoreError } from "../../errors.js";
import { INSTALL_HINT } from "../fusermount.js";

const MODULE_HINT =
  'Load the kernel module with "modprobe fuse"; a container needs the options "--device /dev/fuse --cap-add SYS_ADMIN"';

/** @param words of the helper, or of the system */
export function mountError(mountpoint: string, error: unknown, words = messageOf(error)): YoreError {
  const [reason, hint] = explain(error, words);
  return new YoreError("mount", `Cannot mount at "${mountpoint}": ${reason}`, { cause: error, hint });
}

function explain(error: unknown, words: string): readonly [reason: string, hint?: string] {
  const syscall = error instanceof Error ? (error as NodeJS.ErrnoException).syscall : undefined;
  const code = systemCodeOf(error);
  if (syscall === "spawn" && code === "ENOENT") return ["fusermount3 is not installed", INSTALL_HINT];
  if (syscall === "open")
    return code === "EACCES" || code === "EPERM"
      ? ["this process may not open /dev/fuse", MODULE_HINT]
      : ["/dev/fuse is missing", MODULE_HINT];
  if (syscall === "mount" && code === "EPERM")
    return ["this process may not mount", 'A container needs the option "--cap-add SYS_ADMIN"'];
  if (syscall === "mount" && code === "ENODEV") return ["the kernel has no FUSE", MODULE_HINT];
  return explainWords(words);
}

/** fusermount3 says what is wrong in a sentence, and nothing else tells the cases apart. */
function explainWords(words: string): readonly [reason: string, hint?: string] {
  if (/fuse device not found|\/dev\/fuse: No such/.test(words)) return ["/dev/fuse is missing", MODULE_HINT];
  if (/failed to open \/dev\/fuse|\/dev\/fuse: Permission/.test(words))
    return ["this user may not open /dev/fuse", 'Its mode should be 0666: "chmod 666 /dev/fuse" as root'];
  if (/allow_other/.test(words) && /user_allow_other/.test(words))
    return [
      "ordinary users may not let others see their mounts",
      'Write the line "user_allow_other" into /etc/fuse.conf',
    ];
  if (/no write access to mountpoint/.test(words))
    return ["this user may not write to the directory, which fusermount3 demands"];
  if (/mount failed: Operation not permitted/.test(words))
    return ["fusermount3 may not mount", 'A container needs the option "--cap-add SYS_ADMIN"'];
  const first = words.split("\n").find((line) => line.trim() !== "");
  return [(first ?? "fusermount3 gave no reason").replace(/^fusermount3?: /, "")];
}
