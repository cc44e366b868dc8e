import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import { encodeTree } from "../../src/format/tree.js";
import { restore } from "../../src/restorer/restore.js";
import { createRepository, node } from "../repository/support.js";
import { temporaryFolder } from "../support/temporary.js";

const DEPTH = 3000;
/** No file system takes it. */
const TOO_LONG = "n".repeat(300);

describe("restore", () => {
  it("does not try again all folders above for every folder that lies below one that cannot be made", async () => {
    const repository = await createRepository({}, new MemoryBackend());
    let { id } = await repository.saveBlob("tree", encodeTree([]));
    for (let i = 0; i < DEPTH; i++) {
      const folder = node(i < DEPTH - 1 ? "d" : TOO_LONG, {
        type: "dir",
        mode: GO_MODE_DIR + 0o755,
        subtree: id,
        content: null,
      });
      id = (await repository.saveBlob("tree", encodeTree([folder]))).id;
    }
    await repository.flush();
    const target = join(await temporaryFolder(), "out");
    const errors: string[] = [];
    // With a trial of each folder for each one below it this takes half a minute.
    const summary = await restore(
      repository,
      id,
      { target },
      {
        signal: AbortSignal.timeout(20_000),
        on: (event) => event.type === "error" && errors.push(event.error.message),
      },
    );
    expect(summary.errors).toBeGreaterThanOrEqual(DEPTH);
    expect(errors.length).toBe(summary.errors);
    await repository.close();
  });
});
