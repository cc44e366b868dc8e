/**
 * Access control lists as Linux stores them in extended attributes, in little endian: a version of 4 bytes, then entries of
 * 8: tag 2, permissions 2, ID 4.
 */

const VERSION = 2;
const HEADER_LENGTH = 4;
const ENTRY_LENGTH = 8;

const TAGS: ReadonlyMap<number, { readonly name: string; readonly hasId: boolean }> = new Map([
  [0x01, { name: "user", hasId: false }],
  [0x02, { name: "user", hasId: true }],
  [0x04, { name: "group", hasId: false }],
  [0x08, { name: "group", hasId: true }],
  [0x10, { name: "mask", hasId: false }],
  [0x20, { name: "other", hasId: false }],
]);

/** "user::rw-\nuser:1000:r--\n…", a line for each entry; `undefined` for bytes that are no list. */
export function formatPosixAcl(bytes: Buffer): string | undefined {
  if (bytes.length < HEADER_LENGTH || (bytes.length - HEADER_LENGTH) % ENTRY_LENGTH !== 0) return undefined;
  if (bytes.readUInt32LE(0) !== VERSION) return undefined;
  let text = "";
  for (let at = HEADER_LENGTH; at < bytes.length; at += ENTRY_LENGTH) {
    const tag = TAGS.get(bytes.readUInt16LE(at));
    if (!tag) return undefined;
    const permissions = bytes.readUInt16LE(at + 2);
    const letters = [..."rwx"].map((letter, i) => (permissions & (4 >> i) ? letter : "-")).join("");
    text += `${tag.name}:${tag.hasId ? bytes.readUInt32LE(at + 4) : ""}:${letters}\n`;
  }
  return text;
}
