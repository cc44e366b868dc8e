import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { findMount } from "../../src/fuse/mount-table.js";
import { detachStaleMount } from "../../src/fuse/stale-mounts.js";
import { unmount } from "../../src/fuse/unmount.js";
import { loadAddon } from "../../src/native/addon.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { buildToyServer, startToyServer, type ToyServer, type ToyServerProgram } from "./run-toy-server.js";

describe.runIf(loadAddon() && process.getuid?.() === 0)("mountFilesystem in a process of its own", () => {
  let program: ToyServerProgram;
  const servers: ToyServer[] = [];
  const mountpoints: string[] = [];

  beforeAll(async () => {
    program = await buildToyServer();
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) server.process.kill("SIGKILL");
    for (const mountpoint of mountpoints.splice(0)) await detachStaleMount(mountpoint);
  });

  async function serve(mountpoint?: string, options = {}): Promise<ToyServer & { mountpoint: string }> {
    const place = mountpoint ?? (await temporaryFolder());
    const server = startToyServer(program, place, options);
    servers.push(server);
    mountpoints.push(place);
    expect(await server.line()).toBe("mounted");
    return { ...server, mountpoint: place };
  }

  it("unmounts when told to, and ends", async () => {
    const server = await serve();
    server.process.kill("SIGTERM");
    expect(await server.line()).toBe("done");
    expect(await server.ended).toEqual([0, null]);
    expect(await findMount(server.mountpoint)).toBeUndefined();
  });

  it("mounts again at the same place after its server was killed", async () => {
    const server = await serve();
    expect((await run("cat", [`${server.mountpoint}/hello`])).stdout).toBe("hello, world\n");
    server.process.kill("SIGKILL");
    await server.ended;
    expect((await run("ls", [`${server.mountpoint}/sticky`])).stderr).toContain("not connected");
    const again = await serve(server.mountpoint);
    expect((await run("cat", [`${again.mountpoint}/hello`])).stdout).toBe("hello, world\n");
    again.process.kill("SIGTERM");
    expect(await again.ended).toEqual([0, null]);
    expect(await findMount(server.mountpoint)).toBeUndefined();
  });

  it("mounts again although a dead mount is still in use", async () => {
    const server = await serve();
    const user = spawn("sh", ["-c", 'cd "$1"; echo ready; exec sleep 1000', "sh", server.mountpoint]);
    await once(user.stdout, "data");
    server.process.kill("SIGKILL");
    await server.ended;
    const again = await serve(server.mountpoint);
    expect((await run("cat", [`${again.mountpoint}/hello`])).stdout).toBe("hello, world\n");
    user.kill("SIGKILL");
    again.process.kill("SIGTERM");
    expect(await again.ended).toEqual([0, null]);
  });

  it("leaves nothing mounted when its process ends without unmounting", async () => {
    const server = await serve();
    server.process.kill("SIGUSR2");
    expect(await server.ended).toEqual([3, null]);
    expect(await findMount(server.mountpoint)).toBeUndefined();
    expect((await run("ls", ["-A", server.mountpoint])).stderr).toBe("");
  });

  it("goes on serving a working directory after a busy unmount, and ends when it is left", async () => {
    const server = await serve();
    const user = spawn("sh", ["-c", 'cd "$1"; echo ready; read line; cat hello', "sh", server.mountpoint]);
    await once(user.stdout, "data");
    server.process.kill("SIGTERM");
    while (await findMount(server.mountpoint)) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(server.process.exitCode).toBeNull();
    user.stdin.end("\n");
    expect(String((await once(user.stdout, "data"))[0])).toBe("hello, world\n");
    expect(await server.ended).toEqual([0, null]);
  });

  it("ends and leaves nothing mounted when its connection is aborted", async () => {
    const server = await serve();
    await run("umount", ["-f", server.mountpoint]);
    expect(await server.ended).toEqual([0, null]);
    expect(await findMount(server.mountpoint)).toBeUndefined();
  });

  it("refuses a place where a live mount is", async () => {
    const server = await serve();
    const second = startToyServer(program, server.mountpoint);
    servers.push(second);
    expect(await second.line()).toMatch(/^error Cannot mount at ".*": "yore" is mounted there/);
    expect(await detachStaleMount(server.mountpoint)).toBe(false);
    expect((await run("cat", [`${server.mountpoint}/hello`])).stdout).toBe("hello, world\n");
  });

  it("is unmounted from outside by `unmount`", async () => {
    const server = await serve();
    expect(await unmount(server.mountpoint)).toEqual({ wasBusy: false });
    expect(await server.ended).toEqual([0, null]);
    await expect(unmount(server.mountpoint)).rejects.toThrow(/nothing is mounted there/);
    await expect(unmount("/proc")).rejects.toThrow(/a file system of type proc/);
  });

  it("says what is wrong with a mountpoint", async () => {
    const folder = await temporaryFolder();
    await run("touch", [`${folder}/file`]);
    for (const [place, reason] of [
      [`${folder}/none`, /there is no such directory/],
      [`${folder}/file`, /it is not a directory/],
    ] as const) {
      const server = startToyServer(program, place);
      expect(await server.line()).toMatch(reason);
      expect(await server.ended).toEqual([1, null]);
    }
  });

  it("says what is missing when the driver asked for cannot be loaded", async () => {
    // The bundle cannot find the package; that is what the error has to say.
    const server = startToyServer(program, await temporaryFolder(), { driver: "fuse-native" });
    expect(await server.line()).toMatch(/no driver works here .*fuse-native/);
    expect(await server.ended).toEqual([1, null]);
  });
});
