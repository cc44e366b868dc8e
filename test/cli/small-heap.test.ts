import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** Makes work of the kind that lets the young heap grow, at the end of whatever command it is loaded into. */
const PROBE = `
const { getHeapSpaceStatistics } = require("node:v8");
const exit = process.exit;
process.exit = async (code) => {
  let kept = [];
  for (let turn = 0; turn < 200; turn++) {
    kept = Array.from({ length: 20000 }, (_, i) => ({ turn, i }));
    await new Promise(setImmediate);
  }
  const { space_size } = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  process.stderr.write("young " + space_size + " of " + kept.length);
  exit(code);
};
`;

it("keeps the young heap at a fourth of what Node.js lets it come to", async () => {
  const probe = join(await temporaryFolder(), "probe.cjs");
  await writeFile(probe, PROBE);
  const { code, stderr } = await runYore(["version"], { env: { NODE_OPTIONS: `--require=${probe}` } });
  const [, bytes] = /^young (\d+) of 20000$/.exec(stderr) ?? [];
  expect({ code, isSmall: Number(bytes) <= 8 * 1024 * 1024, stderr }).toMatchObject({
    code: 0,
    isSmall: true,
  });
});
