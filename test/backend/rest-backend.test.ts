import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { ConnectionLimitBackend } from "../../src/backend/connection-limit-backend.js";
import { RestBackend } from "../../src/backend/rest-backend.js";
import { RetryBackend } from "../../src/backend/retry-backend.js";
import { type BackendFixture, backendSuite } from "../suites/backend-suite.js";
import {
  type RestServer,
  startRcloneServer,
  startRestServer,
  startYoreServer,
} from "../support/rest-servers.js";
import { missingPeer } from "../support/run.js";

/** A server for each test: what one leaves must not be seen by the next. */
function served(
  start: (folder: string) => Promise<RestServer>,
  {
    path,
    ...traits
  }: Pick<BackendFixture, "missesRemoved" | "listsWhole" | "savesAtOnce"> & { readonly path?: string } = {},
): () => Promise<BackendFixture> {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), "yore-rest-"));
    const server = await start(folder);
    const url = `${server.url}${path ?? `${randomBytes(4).toString("hex")}/`}`;
    return {
      open: async () => new RestBackend(url),
      remove: async () => {
        await server.stop();
        await rm(folder, { recursive: true, force: true });
      },
      missesRemoved: false,
      ...traits,
    };
  };
}

backendSuite("RestBackend with yore serve", served(startYoreServer));

backendSuite("RestBackend with yore serve, wrapped as it is used", async () => {
  const fixture = await served(startYoreServer)();
  return {
    ...fixture,
    open: async () => new RetryBackend(new ConnectionLimitBackend(await fixture.open())),
  };
});

describe.skipIf(missingPeer("rest-server"))("rest-server", () => {
  backendSuite("RestBackend with rest-server", served(startRestServer));
});

describe.skipIf(missingPeer("rclone"))("rclone", () => {
  backendSuite(
    "RestBackend with rclone serve restic",
    // rclone writes small files under their own names, and larger ones of one name into one another's way (500).
    served(startRcloneServer, { path: "", missesRemoved: true, listsWhole: false, savesAtOnce: false }),
  );
});
