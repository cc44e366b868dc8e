import { randomBytes, randomInt, scryptSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { NativeEngine } from "../../src/engine/native/native-engine.js";
import { poly1305Aes } from "../../src/engine/native/primitives.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { engineSuite } from "../suites/engine-suite.js";

const addon = loadAddon();

if (addon) {
  const make = async () => new NativeEngine(addon);
  engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data));
  it("derives keys as OpenSSL's scrypt does, whatever the parameters", async () => {
    const engine = await make();
    const edges = [
      [2, 1, 1, 1],
      [2, 1, 300, 64],
      [1024, 3, 7, 33],
      [4096, 1, 1, 200],
      [32768, 8, 2, 64],
    ] as const;
    const random = Array.from({ length: 150 }, () => {
      const N = 2 ** randomInt(1, 13);
      return [N, randomInt(1, 20), randomInt(1, 8), randomInt(1, 100)] as const;
    });
    for (const [N, r, p, length] of [...edges, ...random]) {
      const password = randomBytes(randomInt(0, 80));
      const salt = randomBytes(randomInt(0, 80));
      const derived = await engine.scrypt(password, salt, { N, r, p }, length);
      const expected = scryptSync(password, salt, length, { N, r, p, maxmem: 2 ** 28 });
      expect(Buffer.from(derived).equals(expected), `N=${N} r=${r} p=${p} length=${length}`).toBe(true);
    }
  });
  describe("with its own Poly1305 instead of OpenSSL's", () => {
    engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data, true));
  });
} else {
  describe.skip(`native engine (${addonProblem()})`, () => it("is built", () => {}));
}
