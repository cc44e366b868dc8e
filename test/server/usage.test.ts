import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { forEachConcurrently } from "../../src/async/map-concurrently.js";
import { QuotaReservation } from "../../src/server/quota-reservation.js";
import { UsageLedger } from "../../src/server/usage.js";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

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

  it("counts a file once that appears while it counts, and is told of only then", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "ada/keys"), { recursive: true });
    const ledger = new UsageLedger(folder);
    const endChange = await ledger.beginChange(["ada"]);
    writeFileSync(join(folder, "ada/keys", "0".repeat(64)), "12345");
    const counted = ledger.count((problem) => expect.unreachable(problem));
    expect(await Promise.race([counted, ledger.beginChange(["bob"])])).toBeTypeOf("function");
    ledger.add(["ada"], 5);
    endChange();
    await counted;
    expect(ledger.bytesOf(["ada"])).toBe(5);
  });
});

it("yore serve keeps count of what is removed while it counts", async () => {
  const folder = await temporaryFolder();
  const names = Array.from({ length: 4_000 }, (_, i) => createHash("sha256").update(`${i}`).digest("hex"));
  for (const name of names) {
    mkdirSync(join(folder, "data", name.slice(0, 2)), { recursive: true });
    writeFileSync(join(folder, "data", name.slice(0, 2), name), "12345");
  }
  const server = await startYoreServer(folder, { maxSize: 1_000_000, metrics: "open" });
  try {
    // As many as the server has looked at while it counts, and more.
    await forEachConcurrently(names.slice(0, 2_000), 8, async (name) => {
      expect((await ask(server.url, "DELETE", `/data/${name}`)).status).toBe(200);
    });
    const { text } = await ask(server.url, "GET", "/metrics");
    expect(text).toContain('yore_server_repository_bytes{repo=""} 10000\n');
  } finally {
    await server.stop();
  }
});

it("yore serve lets nobody past a quota for having removed what others had put there", async () => {
  const folder = await temporaryFolder();
  const server = await startYoreServer(folder, { maxSize: 1_000, metrics: "open" });
  const save = async (length: number) => {
    const body = Buffer.alloc(length, `${length}`);
    const name = createHash("sha256").update(body).digest("hex");
    return (await ask(server.url, "POST", `/keys/${name}`, { body })).status;
  };
  try {
    await ask(server.url, "POST", "/?create=true");
    // Its answer comes when everything that was there is counted.
    expect(await save(100)).toBe(200);
    const name = "0".repeat(64);
    writeFileSync(join(folder, "keys", name), Buffer.alloc(5_000));
    expect((await ask(server.url, "DELETE", `/keys/${name}`)).status).toBe(200);
    const { text } = await ask(server.url, "GET", "/metrics");
    expect(text).toContain('yore_server_repository_bytes{repo=""} 0\n');
    expect(await save(1_500)).toBe(507);
    expect(await save(800)).toBe(200);
    expect(await save(801)).toBe(507);
  } finally {
    await server.stop();
  }
});
