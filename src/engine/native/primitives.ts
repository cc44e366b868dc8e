import type { Addon } from "../../native/addon.js";

/**
 * Poly1305-AES of some data, by the addon: a door for vectors, not for use.
 *
 * @param own use the addon's own Poly1305 and not OpenSSL's
 */
export function poly1305Aes(
  addon: Addon,
  key: { readonly macK: Uint8Array; readonly macR: Uint8Array },
  nonce: Uint8Array,
  data: Uint8Array,
  own = false,
): Uint8Array {
  return addon.poly1305Aes(key.macK, key.macR, nonce, data, own);
}
