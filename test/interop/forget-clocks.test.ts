/** `forget --keep-within` of both programs where clocks change between the newest snapshot and the border. */

import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeSnapshot } from "../../src/format/snapshot.js";
import { formatTimestamp, parseTimestamp } from "../../src/format/timestamp.js";
import { listSnapshots, openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"];
const DURATIONS = { "1d": 1, "9d": 9, "1m2h": 31, "5m": 152 };

/** Shortly after clocks have changed, written in the local zone of one of the above or in another. */
const NEWEST = [
  "2024-10-28T01:30:00+00:00",
  "2024-10-28T01:30:00Z",
  "2024-11-05T00:30:00-00:00",
  "2024-04-01T01:30:00+01:00",
  "2024-04-09T02:15:00+01:00",
  "2024-07-01T01:30:00+00:00",
  "2024-11-04T01:30:00-05:00",
  "2024-11-12T00:30:00-05:00",
  "2024-03-19T02:30:00-04:00",
  "2024-04-08T01:45:00+10:30",
  "2024-10-07T02:15:00+11:00",
  "2024-10-15T02:30:00+10:30",
];

describe.skipIf(missingPeer("restic"))("forget --keep-within across changes of the clocks", () => {
  let env: Record<string, string>;

  beforeAll(async () => {
    const location = join(await temporaryFolder(), "repository");
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: location };
    await runRestic(["init", "--quiet"], { env });
    await makeKeyCheap(location, "geheim");
    await runRestic(["backup", "-q", "--no-cache", "--stdin"], { env, input: "x" });
    const session = await openRepository(location, { password: "geheim" });
    const { repository } = session;
    const [sample] = await listSnapshots(repository);
    for (const [host, newest] of NEWEST.entries()) {
      const texts = [newest];
      const { seconds } = parseTimestamp(newest);
      for (const days of Object.values(DURATIONS))
        for (let quarter = -7; quarter <= 7; quarter += 2) {
          const near = seconds - days * 86_400 + quarter * 900;
          texts.push(formatTimestamp({ seconds: near, nanoseconds: 0, zoneMinutes: 0 }));
        }
      for (const text of texts) {
        const json = encodeSnapshot({ ...sample!, hostname: `host ${host}` }).toString();
        // What is written here is never written `+00:00`.
        const bytes = Buffer.from(json.replace(/"time":"[^"]*"/, `"time":"${text}"`));
        await repository.saveFile("snapshot", bytes);
      }
    }
    await session.close();
  }, 120_000);

  it.each(ZONES)("keeps the same in %s", { timeout: 120_000 }, async (TZ) => {
    for (const duration of Object.keys(DURATIONS)) {
      const args = ["forget", "--no-cache", "--no-lock", "--dry-run", "--json", "--group-by", "host"];
      const options = { env: { ...env, TZ } };
      const kept = [];
      for (const run of [runRestic, runYore]) {
        const { stdout } = await run([...args, "--keep-within", duration], options);
        const groups = JSON.parse(stdout) as { host: string; keep: { time: string }[] | null }[];
        kept.push(groups.map(({ host, keep }) => [host, ...(keep ?? []).map(({ time }) => time)]).sort());
      }
      expect(kept[1], duration).toEqual(kept[0]);
      expect(kept[0]!.length).toBeGreaterThan(NEWEST.length - 1);
    }
  });
});
