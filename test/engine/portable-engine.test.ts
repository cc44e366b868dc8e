import { Breather } from "../../src/engine/portable/breather.js";
import { PortableEngine } from "../../src/engine/portable/portable-engine.js";
import { poly1305Aes } from "../../src/engine/portable/primitives.js";
import { engineSuite } from "../suites/engine-suite.js";

engineSuite(
  "portable",
  () => PortableEngine.create(),
  (key, nonce, data) => poly1305Aes(key, nonce, data, new Breather()),
);
