import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";

/** What a gate does with a request instead of handing it on. */
export type GateAnswer =
  /** Never answers. */
  | "silence"
  /** Closes the connection. */
  | "hang-up"
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

/** Asked about each request: its method and path. `undefined` hands it on, once the promise has resolved. */
export type GateRule = (
  method: string,
  path: string,
) => GateAnswer | undefined | Promise<GateAnswer | undefined>;

/** In front of a REST server: hands requests on, except those that a test answers itself. */
export class Gate {
  /** With a slash at its end. */
  readonly url: string;
  /** "GET /repo/data/": what was answered so far. */
  readonly answered: string[] = [];
  rule: GateRule = () => undefined;
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>, target: string) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on("request", (asked: IncomingMessage, answer: ServerResponse) => {
      void this.#pass(new URL(asked.url!, target), asked, answer);
    });
  }

  static async open(target: string): Promise<Gate> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Gate(server, target);
  }

  /** Of its clients, idle ones too. */
  get connections(): Promise<number> {
    return promisify(this.#server.getConnections.bind(this.#server))();
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #pass(url: URL, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const method = asked.method!;
    answer.on("finish", () => this.answered.push(`${method} ${url.pathname}`));
    const decided = await this.rule(method, url.pathname);
    if (decided === "silence") return;
    if (decided === "hang-up") return void asked.socket.destroy();
    if (decided) return void answer.writeHead(decided.status, decided.headers).end(decided.body);
    const inner = request(url, { method, headers: asked.headers, agent: false }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    for (const stream of [inner, asked, answer]) stream.on("error", () => answer.destroy());
    asked.pipe(inner);
  }
}
