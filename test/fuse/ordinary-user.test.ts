/**
 * Mounts by somebody who is not root: in a mount namespace of its own, where /dev/fuse is open to everybody whatever
 * this machine allows, and /etc/fuse.conf is as the test wants it.
 */

import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../src/native/addon.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { buildToyServer, type ToyServerProgram } from "./run-toy-server.js";

const NOBODY = 65_534;
const hasHelper = (await run("sh", ["-c", "command -v fusermount3 && command -v setpriv"])).code === 0;
if (!hasHelper)
  console.warn("SKIPPED: fusermount3 or setpriv is not installed; mounts by ordinary users are not tested");

describe.runIf(loadAddon() && process.getuid?.() === 0 && hasHelper)(
  "mountFilesystem as an ordinary user",
  () => {
    let program: ToyServerProgram;
    let folder: string;
    let mountpoint: string;

    beforeAll(async () => {
      program = await buildToyServer();
      folder = await temporaryFolder();
      mountpoint = join(folder, "mount");
      await chmod(folder, 0o777);
      await chmod(join(folder, ".."), 0o755);
      await chmod(program.folder, 0o755);
      await mkdir(mountpoint);
      await chown(mountpoint, NOBODY, NOBODY);
    });

    /** Runs a script as nobody, "$@" being the server's command line, after `setup` as root. */
    async function asNobody(script: string, setup: string, options: object = {}) {
      const scriptFile = join(folder, "script");
      await writeFile(scriptFile, script);
      await chmod(scriptFile, 0o755);
      const { stdout, stderr } = await run(
        "unshare",
        [
          "--mount",
          "sh",
          "-c",
          `mkdir -p "$0/dev"; mount -t tmpfs tmpfs "$0/dev"; mknod -m 0666 "$0/dev/fuse" c 10 229
mount --bind "$0/dev/fuse" /dev/fuse; ${setup}
exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --inh-caps=-all sh "$0/script" "$@"`,
          folder,
          ...program.command,
          mountpoint,
          JSON.stringify(options),
        ],
        { env: { YORE_ADDON: program.addon, HOME: folder, M: mountpoint } },
      );
      return { stdout, stderr };
    }

    // It answers before it listens to signals: only its word tells that it does, not that of the server before it.
    const SERVE = `rm -f "$M.out"; "$@" > "$M.out" & server=$!
until grep -qs mounted "$M.out"; do kill -0 $server || exit 1; sleep 0.02; done; cat "$M/hello"
`;

    it("mounts and unmounts through fusermount3", async () => {
      const { stdout, stderr } = await asNobody(
        `${SERVE} grep -o " $M [^ ]*" /proc/self/mountinfo; ls "$M/huge" | wc -l
kill -TERM $server; wait $server; echo "code $?"; grep -c " $M " /proc/self/mountinfo`,
        "",
      );
      expect(stderr).toBe("");
      expect(stdout).toBe(`hello, world\n ${mountpoint} ro,nosuid,nodev,relatime\n10000\ncode 0\n0\n`);
    });

    it("detaches a busy mount, and serves what is open in it", async () => {
      const { stdout } = await asNobody(
        `${SERVE} cd "$M"; kill -TERM $server
while grep -q " $M " /proc/self/mountinfo; do sleep 0.02; done; cat deep/a/b/c; cd /; wait $server; echo "code $?"`,
        "",
      );
      expect(stdout).toBe("hello, world\ndeep down\ncode 0\n");
    });

    it("leaves nothing mounted when its process ends without unmounting", async () => {
      const { stdout } = await asNobody(
        `${SERVE} kill -USR2 $server; wait $server; echo "code $?"; ls -A "$M"; grep -c " $M " /proc/self/mountinfo`,
        "",
      );
      expect(stdout).toBe("hello, world\ncode 3\n0\n");
    });

    it("mounts again after its server was killed", async () => {
      const { stdout } = await asNobody(
        `${SERVE} kill -KILL $server; wait $server 2>/dev/null
${SERVE} kill -TERM $server; wait $server; echo "code $?"`,
        "",
      );
      expect(stdout).toBe("hello, world\nhello, world\ncode 0\n");
    });

    it.each([
      {
        problem: "/dev/fuse is missing",
        setup:
          'umount /dev/fuse; rm "$0/dev/fuse"; mknod -m 0666 "$0/dev/null" c 1 3; mount --bind "$0/dev" /dev',
        expected: /\/dev\/fuse is missing.*modprobe fuse/,
      },
      {
        problem: "it may not open /dev/fuse",
        setup: 'chmod 600 "$0/dev/fuse"',
        expected: /may not open \/dev\/fuse/,
      },
      {
        problem: "allow_other is not permitted",
        setup: 'printf "" > "$0/dev/conf"; mount --bind "$0/dev/conf" /etc/fuse.conf',
        options: { allowOther: true },
        expected: /let others see.*user_allow_other.*fuse\.conf/,
      },
      {
        problem: "the directory is not its own",
        setup: 'chown 0 "$M"',
        expected: /may not write to the directory/,
      },
      {
        problem: "fusermount3 is missing",
        path: "/nowhere",
        expected: /fusermount3 is not installed.*fuse3/,
      },
    ])("says that $problem", async ({ setup = ":", options = {}, path, expected }) => {
      const { stdout } = await asNobody(path ? `PATH=${path} "$@"` : '"$@"', setup, options);
      await chown(mountpoint, NOBODY, NOBODY);
      expect(stdout).toMatch(expected);
    });
  },
);
