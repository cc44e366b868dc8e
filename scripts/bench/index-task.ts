/** Loading an index of 5 million blobs: the listing of a small snapshot in a repository that has them. */
import { catOf, paths } from "./command-tasks.js";
import { dropPageCache, measure } from "./measure.js";
import type { Program } from "./programs.js";
import { blobsOfIndex, environmentOf, makeRepository, type RepositoryName } from "./repositories.js";
import type { Place, Task } from "./task.js";

export const indexLoad: Task = {
  name: "index-load",
  what: "load of an index of 5 million blobs (`ls latest`)",
  async run(program, place) {
    const { sample, stdout } = await list(program, place, "index");
    // The program without an index to speak of; what loading needs for a while counts as well.
    const base = await list(program, place, "history");
    const each = (sample.peakBytes - base.sample.peakBytes) / blobsOfIndex(place);
    return { sample, proof: paths(stdout), detail: `${each.toFixed(0)} B a blob` };
  },
  limit: async (place) => catOf(await makeRepository(place, "index"), "index/*"),
};

async function list(program: Program, place: Place, repository: RepositoryName) {
  const env = environmentOf(await makeRepository(place, repository));
  dropPageCache();
  return measure({ argv: [...program.argv, "ls", "latest"], env });
}
