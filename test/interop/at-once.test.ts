/** Two programs at once respect each other's locks: whoever is in the way waits or is refused, and nothing is lost. */

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe.skipIf(missingPeer("restic"))("yore and restic at once", () => {
  it("back up, forget, prune, tag, rewrite and check, and lose nothing", { timeout: 240_000 }, async () => {
    const folder = await temporaryFolder();
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    expect((await runRestic(["init", "-q"], { env })).code).toBe(0);
    await makeKeyCheap(env.RESTIC_REPOSITORY, "geheim");
    const sources = await Promise.all(
      ["a", "b", "c"].map(async (name, i) => {
        const source = join(folder, name);
        await mkdir(source);
        await writeFile(join(source, "own"), noise(400_000, i));
        await writeFile(join(source, "shared"), noise(400_000, 99));
        return source;
      }),
    );
    const seen = new Set<number | null>();
    let saved = 0;
    for (let round = 0; round < 2; round++) {
      for (const [i, source] of sources.entries())
        await writeFile(join(source, "changing"), noise(200_000, 1000 + round * 10 + i));
      const [yore, restic] = round % 2 === 0 ? [runYore, runRestic] : [runRestic, runYore];
      // Some wait for a lock, the others are refused at once.
      const waiting = ["--retry-lock", "20s"];
      const work = [
        yore(["backup", "-q", "--host", "one", sources[0]!, ...waiting], { env }),
        restic(["backup", "-q", "--host", "two", sources[1]!, ...waiting], { env }),
        yore(["forget", "-q", "--host", "one", "--keep-last", "2", "--prune", "--max-unused", "0"], { env }),
        restic(["prune", "-q", "--max-unused", "0"], { env }),
        yore(["prune", "-q", "--max-unused", "0", ...waiting], { env }),
        restic(["forget", "-q", "--host", "two", "--keep-last", "2", ...waiting], { env }),
        yore(["tag", "-q", "--add", `round-${round}`, ...waiting], { env }),
        yore(["rewrite", "-q", "--forget", "--exclude", "shared", "--host", "two", ...waiting], { env }),
        restic(["check", "-q"], { env }),
        yore(["backup", "-q", "--host", "three", sources[2]!], { env }),
      ];
      const results = await Promise.all(work);
      for (const { code, stderr } of results) {
        expect([0, 11], stderr).toContain(code);
        seen.add(code);
      }
      saved += [results[0], results[1], results[9]].filter((result) => result!.code === 0).length;
      expect(await readdir(join(env.RESTIC_REPOSITORY, "locks"))).toEqual([]);
      const check = await runRestic(["check", "--read-data", "--no-cache"], { env });
      expect(check.code, check.stderr).toBe(0);
    }
    // It was a race: some had to give way, and some backups came through.
    expect([...seen].sort()).toEqual([0, 11]);
    expect(saved).toBeGreaterThan(2);
    const snapshots = await runRestic(["snapshots", "--json", "--no-cache"], { env });
    for (const { id, hostname } of JSON.parse(snapshots.stdout) as { id: string; hostname: string }[]) {
      const place = sources[["one", "two", "three"].indexOf(hostname)]!;
      const { stdoutBytes } = await runYore(["dump", id, join(place, "own")], { env });
      expect(stdoutBytes.equals(noise(400_000, sources.indexOf(place)))).toBe(true);
    }
  });
});
