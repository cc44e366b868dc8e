import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { backendSuite } from "../suites/backend-suite.js";

backendSuite("MemoryBackend", async () => {
  const backend = new MemoryBackend();
  return { open: async () => backend, remove: async () => {} };
});
