/** Poly1305-AES: D. J. Bernstein, "The Poly1305-AES message-authentication code", appendix B. All in hex. */
export const POLY1305_AES_VECTORS = [
  {
    k: "ec074c835580741701425b623235add6",
    r: "851fc40c3467ac0be05cc20404f3f700",
    nonce: "fb447350c4e868c52ac3275cf9d4327e",
    message: "f3f6",
    mac: "f4c633c3044fc145f84f335cb81953de",
  },
  {
    k: "75deaa25c09f208e1dc4ce6b5cad3fbf",
    r: "a0f3080000f46400d0c7e9076c834403",
    nonce: "61ee09218d29b0aaed7e154a2c5509cc",
    message: "",
    mac: "dd3fab2251f11ac759f0887129cc2ee7",
  },
  {
    k: "6acb5f61a7176dd320c5c1eb2edcdc74",
    r: "48443d0bb0d21109c89a100b5ce2c208",
    nonce: "ae212a55399729595dea458bc621ff0e",
    message: "663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136",
    mac: "0ee1c16bb73f0f4fd19881753c01cdbe",
  },
  {
    k: "e1a5668a4d5b66a5f68cc5424ed5982d",
    r: "12976a08c4426d0ce8a82407c4f48207",
    nonce: "9ae831e743978d3a23527c7128149e3a",
    message:
      "ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0" +
      "990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9",
    mac: "5154ad0d2cb26e01274fc51148491f1b",
  },
] as const;

/**
 * Plain Poly1305: RFC 8439 section 2.5.2. Poly1305-AES comes to the same one-time key when the nonce is the block that
 * AES-128 under some k encrypts to the RFC's s.
 */
export const RFC_8439_POLY1305 = {
  r: "85d6be7857556d337f4452fe42d506a8",
  s: "0103808afb0db2fd4abff6af4149f51b",
  message: "43727970746f6772617068696320466f72756d2052657365617263682047726f7570",
  mac: "a8061dc1305136c6c22b8baf0c0127a9",
} as const;
