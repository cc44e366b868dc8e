/** Trees in the shape in which restic and rustic write them, with other IDs and numbers. */

const A = "a".repeat(64);
const B = "0123456789abcdef".repeat(4);
const TIME = "2026-11-22T15:52:43.123456789+01:00";
const TIMES = `"mtime":"${TIME}","atime":"${TIME}","ctime":"2026-11-22T15:52:44.07+01:00"`;
const ROOT = '"uid":0,"gid":0,"user":"root","group":"root"';

/** restic 0.19.1: every field but `error`, in its order, and names that need both layers of quoting. */
export const TREE_RESTIC = `{"nodes":[{"name":"a\\u003c\\u003e\\u0026","type":"file","mode":420,${TIMES},${ROOT},"inode":18446744073709551615,"device_id":65024,"size":13,"links":2,"extended_attributes":[{"name":"user.a\\u003cb","value":"eA=="},{"name":"user.n","value":null}],"content":["${A}","${B}"]},{"name":"dir","type":"dir","mode":2147484141,${TIMES},"uid":1000,"gid":100,"inode":12,"content":null,"subtree":"${B}"},{"name":"link\\\\xff","type":"symlink","mode":134218239,${TIMES},${ROOT},"inode":13,"links":1,"linktarget":"bad\\ufffdtarget","linktarget_raw":"YmFk/3RhcmdldA==","content":null},{"name":"tty\\\\n","type":"chardev","mode":69206416,${TIMES},${ROOT},"inode":14,"links":1,"generic_attributes":{"windows.creation_time":"AAA=","windows.file_attributes":32},"device":1281,"content":null}]}\n`;

/** rustic: unknown modes, owners and times are left out, directories lack Go's type bits, fractions end in zeros. */
export const TREE_RUSTIC = `{"nodes":[{"name":"d","type":"dir","mode":493,"mtime":"2024-03-01T10:00:00.070000000+01:00","inode":5,"subtree":"${A}"},{"name":"f","type":"file","content":[]}]}\n`;

/** Old restic: names with slashes, unknown types, fields before and behind the nodes. */
export const TREE_OLD = `{"version":[{"a":"}"}],"nodes":[{"type":"","content":null},{"name":"a/b","type":"file","color":{"r":[1,2]},"content":[]},{"name":"..","type":"dir","subtree":"${A}"}],"after":"]"}`;

/** A node with nothing but what is always there. */
export const BARE_NODE =
  '{"name":"b","type":"file","mtime":"1970-01-01T00:00:00Z","atime":"1970-01-01T00:00:00Z","ctime":"1970-01-01T00:00:00Z","uid":0,"gid":0,"content":null}';
