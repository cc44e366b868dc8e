/**
 * Which folder of src/ may import which: the architecture as a table. `scripts/check-layers.ts` holds every import against it.
 *
 * A folder may import itself, the floor, and what is named here. A name with a file ("repository/blob-loader") allows that
 * one module only.
 */
export const FLOOR = ["bytes", "async", "errors"] as const;

const CORE = ["native", "engine", "format", "patterns", "backend", "repository", "cache"] as const;

export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  bytes: [],
  async: [],
  native: [],
  format: [],
  patterns: [],
  backend: [],
  engine: ["native"],
  repository: ["engine", "format", "backend"],
  cache: ["native", "format", "repository/blob-loader", "repository/load-tree"],
  fuse: ["native"],
  // What a filesystem is to a driver, and how it writes many records of a directory at once; nothing of the drivers themselves.
  snapfs: ["format", "cache", "repository/blob-loader", "fuse/filesystem", "fuse/record-writer"],
  // Never "repository" or "format": a server holds no key and reads no file.
  server: ["native", "backend"],
  archiver: ["native", "engine", "format", "patterns", "repository"],
  restorer: ["native", "format", "patterns", "repository"],
  maintenance: ["engine", "format", "patterns", "backend", "repository"],
  mount: ["snapfs", "fuse", "repository", "cache", "format", "backend"],
  commands: [...CORE, "fuse", "snapfs", "archiver", "restorer", "maintenance", "mount", "server"],
  mod: [...CORE, "fuse", "snapfs", "archiver", "restorer", "maintenance", "mount", "commands"],
  // Rendering is writing values of the format down once more; the rest of what it names comes through the library's surface.
  cli: ["commands", "mod", "format", "patterns"],
};

/** The portable engine and the format must also run where there is no Node.js: folders that import no `node:` module. */
export const WITHOUT_NODE: readonly string[] = ["engine/portable", "format"];
