import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { equalIds } from "../../src/bytes/id.js";
import { check } from "../../src/maintenance/check.js";
import type { CheckEvent, CheckProblem } from "../../src/maintenance/check-options.js";
import { createRepository, openRepository } from "../repository/support.js";

describe("check", () => {
  it("names the index file that is damaged behind a pack that other index files list as well", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    await writer.saveBlob("data", Buffer.from("whatever"));
    await writer.flush();
    await writer.close();
    const repository = await openRepository(backend);
    const [intact] = repository.indexIds;
    const json = Buffer.from(await repository.loadFile("index", intact!)).toString();
    const damaged = await repository.saveFile(
      "index",
      Buffer.from(json.replace(/"length":\d+/, '"length":-1')),
    );
    const again = await openRepository(backend);
    const problems: CheckProblem[] = [];
    const summary = await check(
      again,
      {},
      { on: (event) => event.type === "problem" && problems.push(event.problem) },
    );
    expect(summary).toMatchObject({ errors: 1, suggestRepairIndex: true });
    expect(problems).toHaveLength(1);
    const [problem] = problems;
    expect(problem!.kind === "index" && equalIds(problem!.id, damaged)).toBe(true);
  });

  it("reads the other packs when an index claims that one is larger than any memory", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    for (const texts of [["whatever", "more of it"], ["something else"]]) {
      for (const text of texts) await writer.saveBlob("data", Buffer.from(text));
      await writer.flush();
    }
    await writer.close();
    const [first] = writer.indexIds;
    const json = Buffer.from(await writer.loadFile("index", first!)).toString();
    await writer.saveFile("index", Buffer.from(json.replace(/"length":\d+/g, '"length":4000000000')));
    await writer.removeFile("index", first!);

    const problems: CheckProblem[] = [];
    const on = (event: CheckEvent) => event.type === "problem" && problems.push(event.problem);
    const summary = await check(await openRepository(backend), { readData: { kind: "all" } }, { on });
    expect(problems.map(({ kind }) => kind)).toEqual(["pack-size", "pack-data"]);
    expect(summary).toMatchObject({ packsRead: 2 });
  });
});
