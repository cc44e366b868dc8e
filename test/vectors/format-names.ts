/**
 * File names and how restic 0.19.1 wrote them: the text between the JSON quotes of the tree blob, as seen with
 * `restic cat blob` after backing up files of these names.
 */
export const NAME_VECTORS: readonly (readonly [raw: string | Buffer, blobText: string])[] = [
  ['a"b', 'a\\\\\\"b'],
  ["back\\slash", "back\\\\\\\\slash"],
  ["new\nline", "new\\\\nline"],
  ["tab\t", "tab\\\\t"],
  ["bel\x07", "bel\\\\a"],
  ["esc\x1b", "esc\\\\x1b"],
  ["del\x7f", "del\\\\x7f"],
  [Buffer.from("696e76fffe", "hex"), "inv\\\\xff\\\\xfe"],
  [Buffer.from("68616c66c3", "hex"), "half\\\\xc3"],
  ["c1\u0085", "c1\\\\u0085"],
  ["nbsp\u00a0", "nbsp\\\\u00a0"],
  ["shy\u00ad", "shy\\\\u00ad"],
  ["zw\u200b", "zw\\\\u200b"],
  ["ls\u2028", "ls\\\\u2028"],
  ["ideo\u3000", "ideo\\\\u3000"],
  ["bom\ufeff", "bom\\\\ufeff"],
  ["priv\ue000", "priv\\\\ue000"],
  ["unas\u0378", "unas\\\\u0378"],
  ["tag\u{e0041}", "tag\\\\U000e0041"],
  ["fffd\ufffd", "fffd\ufffd"],
  ["comb\u0301", "comb\u0301"],
  ["cjk\u4e2d", "cjk\u4e2d"],
  ["emoji\u{1f600}", "emoji\u{1f600}"],
  ["sq'", "sq'"],
  ["dollar$", "dollar$"],
  ["lt<gt>amp&", "lt\\u003cgt\\u003eamp\\u0026"],
];
