/** A client that asks a server for much at once: the same for every server. */
import { createHash, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";

const PIECE = randomBytes(1024 * 1024);

/** A file of whole MiB that differs from all others in its first bytes; never in memory as a whole. */
export class MadeFile {
  readonly name: string;
  readonly #head: Buffer;

  constructor(
    number: number,
    readonly mebibytes: number,
  ) {
    this.#head = Buffer.from(PIECE);
    this.#head.writeUInt32LE(number);
    const hash = createHash("sha256");
    for (const piece of this.pieces()) hash.update(piece);
    this.name = hash.digest("hex");
  }

  get bytes(): number {
    return this.mebibytes * PIECE.length;
  }

  *pieces(): Generator<Buffer> {
    yield this.#head;
    for (let i = 1; i < this.mebibytes; i++) yield PIECE;
  }
}

/** Connections that are kept, at most so many. */
export class HttpLoad {
  readonly #agent: Agent;

  constructor(
    private readonly port: number,
    connections: number,
  ) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** @returns bytes of the answer's body @throws {Error} if the status is not 200 */
  ask(method: string, path: string, body?: Iterable<Buffer>, bytes = 0, accept = "*/*"): Promise<number> {
    return new Promise((resolve, reject) => {
      const asked = request({
        port: this.port,
        method,
        path,
        agent: this.#agent,
        headers: { accept, ...(body && { "content-length": bytes }) },
      });
      asked.on("error", reject);
      asked.on("response", (response) => {
        let got = 0;
        response.on("data", (piece: Buffer) => {
          got += piece.length;
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200) resolve(got);
          else reject(new Error(`${method} ${path} was answered with ${response.statusCode}`));
        });
      });
      if (!body) return void asked.end();
      const pieces = body[Symbol.iterator]();
      const write = () => {
        for (let next = pieces.next(); !next.done; next = pieces.next()) {
          if (!asked.write(next.value)) return void asked.once("drain", write);
        }
        asked.end();
      };
      write();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
