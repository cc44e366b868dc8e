import { join } from "node:path";
import { createRepository } from "../../src/mod.js";
import { makeKeyCheap } from "./cheap-key.js";
import { Gate } from "./gate.js";
import { type RestServer, startYoreServer } from "./rest-servers.js";
import { temporaryFolder } from "./temporary.js";

const PASSWORD = "geheim";

/** An empty repository behind `yore serve`, with a gate in front of it. */
export class GatedRepository {
  /** Of the password, for commands. */
  readonly env = { YORE_PASSWORD: PASSWORD };
  readonly location: string;
  readonly #server: RestServer;

  private constructor(
    /** Everything is in it. */
    readonly folder: string,
    /** Below `folder`: where the files of the repository are. */
    readonly served: string,
    readonly gate: Gate,
    server: RestServer,
  ) {
    this.location = `rest:${gate.url}`;
    this.#server = server;
  }

  static async create(): Promise<GatedRepository> {
    const folder = await temporaryFolder();
    const served = join(folder, "served");
    const server = await startYoreServer(served);
    const gate = await Gate.open(server.url);
    await createRepository(`rest:${gate.url}`, { password: PASSWORD });
    await makeKeyCheap(served, PASSWORD);
    return new GatedRepository(folder, served, gate, server);
  }

  async close(): Promise<void> {
    await this.gate.close();
    await this.#server.stop();
  }
}
