export { type BackupOptions, type BackupWatch, backup } from "./backup.js";
export { type BackupEvent, BackupProgress, type BackupSummary, type ItemEvent } from "./backup-progress.js";
export { type Explanation, explain } from "./explain.js";
export type { ParentChoice, ParentGroup } from "./parent-snapshot.js";
export { cleanRaw, displayPath, matchablePath, type RawPath, rawPath } from "./raw-path.js";
export { CACHE_TAG, parseTagFile, type SelectionRules, type TagFile } from "./selection.js";
export type { VirtualFile } from "./virtual-file.js";
