/** Small files of repositories in the shape in which restic and rustic write them (decrypted), with other IDs and salts. */

const A = "a".repeat(64);
const B = "0123456789abcdef".repeat(4);
const base64 = (length: number, byte: number) => Buffer.alloc(length, byte).toString("base64");

/** restic 0.19.1, `backup --tag x,y --exclude '*.tmp'`. */
export const SNAPSHOT_RESTIC = `{"time":"2026-11-22T15:52:43.123456789+01:00","parent":"${B}","tree":"${A}","paths":["/tmp/a\\u0026b","/home"],"hostname":"vm","username":"root","uid":1000,"gid":100,"excludes":["*.tmp"],"tags":["x","y"],"original":"${B}","program_version":"restic 0.19.1","summary":{"backup_start":"2026-11-22T15:52:43.123456789+01:00","backup_end":"2026-11-22T15:52:44.5+01:00","files_new":1,"files_changed":2,"files_unmodified":3,"dirs_new":4,"dirs_changed":5,"dirs_unmodified":6,"data_blobs":7,"tree_blobs":8,"data_added":9,"data_added_packed":10,"total_files_processed":11,"total_bytes_processed":12}}`;

/** restic 0.14, root, nothing but what must be there. */
export const SNAPSHOT_BARE = `{"time":"2022-01-01T00:00:00Z","tree":"${A}","paths":["/"]}`;

/** rustic: more fields, other order, fractions with trailing zeros. */
export const SNAPSHOT_RUSTIC = `{"time":"2024-03-01T10:00:00.070000000+01:00","program_version":"rustic 0.11.4","tree":"${A}","label":"daily","paths":["/data"],"hostname":"h","username":"","uid":0,"gid":0,"tags":[],"original":"${B}","delete":"NotSet","summary":{"files_new":1,"files_changed":0,"files_unmodified":0,"total_files_processed":1,"total_bytes_processed":5,"dirs_new":1,"dirs_changed":0,"dirs_unmodified":0,"total_dirs_processed":1,"data_blobs":1,"tree_blobs":1,"data_added":5,"data_added_packed":37,"command":"rustic backup /data","backup_start":"2024-03-01T10:00:00.07+01:00","backup_end":"2024-03-01T10:00:01+01:00","total_duration":0.93}}`;

/** Any restic. */
export const CONFIG_RESTIC = `{"version":2,"id":"${B}","chunker_polynomial":"3caf26730a7f8d"}`;

/** rustic keeps its settings here. */
export const CONFIG_RUSTIC = `{"version":2,"id":"${B}","chunker_polynomial":"3caf26730a7f8d","is_hot":null,"append_only":false,"compression":3,"treepack_size":4194304,"treepack_growfactor":32,"min_packsize_tolerate_percent":30}`;

/** restic 0.19.1, `init`. */
export const KEY_RESTIC = `{"created":"2026-11-22T14:52:26.1Z","username":"root","hostname":"vm","kdf":"scrypt","N":32768,"r":8,"p":5,"salt":"${base64(64, 5)}","data":"${base64(139, 6)}"}`;

/** rustic may leave out who and when, and chooses other costs. */
export const KEY_RUSTIC = `{"kdf":"scrypt","N":262144,"r":1,"p":1,"data":"${base64(139, 6)}","salt":"${base64(64, 5)}"}`;

/** What the data of a key file says. */
export const MASTER_KEY = `{"mac":{"k":"${base64(16, 1)}","r":"${base64(16, 2)}"},"encrypt":"${base64(32, 3)}"}`;

/** restic 0.19.1 while it backs up. */
export const LOCK_RESTIC =
  '{"time":"2026-11-22T15:52:43.1+01:00","exclusive":false,"hostname":"vm","username":"u","pid":4711,"uid":1000,"gid":100}';

/** restic 0.19.1 as root while it prunes. */
export const LOCK_ROOT =
  '{"time":"2026-11-22T15:52:43Z","exclusive":true,"hostname":"vm","username":"root","pid":1}';

/** restic 0.19.1: one compressed blob, one that is not. */
export const INDEX_RESTIC = `{"packs":[{"id":"${A}","blobs":[{"id":"${B}","type":"data","offset":0,"length":45,"uncompressed_length":13},{"id":"${A}","type":"tree","offset":45,"length":32}]}]}\n`;

/** Old restic and rustic add what nobody needs. */
export const INDEX_WITH_EXTRAS = `{"supersedes":["${A}"],"packs":[{"time":"2024-03-01T10:00:00+01:00","blobs":[{"type":"tree","id":"${B}","length":40,"offset":0,"new":{"a":[1]}}],"size":200,"id":"${A}"}],"packs_to_delete":[{"id":"${B}","blobs":[{"id":"${B}","type":"data","offset":0,"length":40}]}]}`;
