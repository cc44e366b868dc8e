import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { QuotaReservation } from "../../src/server/quota-reservation.js";
import { UsageLedger } from "../../src/server/usage.js";
import { temporaryFolder } from "../support/temporary.js";

describe("UsageLedger", () => {
  it("counts what lies there and uploads that began before the count and end after it", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "ada/keys"), { recursive: true });
    writeFileSync(join(folder, "ada/keys", "0".repeat(64)), "12345");
    const ledger = new UsageLedger(folder);
    const quota = { folders: [], exact: false, limit: 1_000 };
    const [saved, failed] = [1, 2].map(() => new QuotaReservation(ledger, ["ada"], [quota]));
    saved!.announce(300);
    failed!.announce(500);
    await ledger.count((problem) => expect.unreachable(problem));
    expect(ledger.bytesBelow([])).toBe(805);
    saved!.use(300);
    saved!.keep();
    failed!.use(100);
    failed!.release();
    expect(ledger.bytesBelow([])).toBe(305);
    expect(ledger.bytesOf(["ada"])).toBe(305);
    expect([...ledger.entries()].map(([repository, { bytes }]) => [repository, bytes])).toEqual([
      ["ada", 305],
    ]);
  });
});
