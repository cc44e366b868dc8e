import { describe, it } from "vitest";
import { NativeEngine } from "../../src/engine/native/native-engine.js";
import { poly1305Aes } from "../../src/engine/native/primitives.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { engineSuite } from "../suites/engine-suite.js";

const addon = loadAddon();

if (addon) {
  const make = async () => new NativeEngine(addon);
  engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data));
  describe("with its own Poly1305 instead of OpenSSL's", () => {
    engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data, true));
  });
} else {
  describe.skip(`native engine (${addonProblem()})`, () => it("is built", () => {}));
}
