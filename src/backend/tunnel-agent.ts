import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent, type RequestOptions } from "node:https";
import type { Duplex } from "node:stream";

/** Ways to servers through a proxy, which sees nothing but where they lead. */
export interface Tunnels {
  /** @returns a connection to the server, on which nothing was said yet */
  open(host: string, port: number): Promise<Duplex>;
  /** Those that are being opened fail. */
  close(): void;
}

type OnConnection = (error: Error | null, stream: Duplex) => void;

/** Connections to https servers through tunnels. They are kept and used again like those of any other agent. */
export class TlsTunnelAgent extends HttpsAgent {
  readonly #tunnels: Tunnels;

  constructor(tunnels: Tunnels, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#tunnels = tunnels;
  }

  override createConnection(options: RequestOptions, callback: OnConnection): undefined {
    openTunnel(this.#tunnels, options, callback, (socket) => {
      return super.createConnection({ ...options, socket } as RequestOptions)!;
    });
  }

  override destroy(): void {
    this.#tunnels.close();
    super.destroy();
  }
}

/** The same to http servers. */
export class PlainTunnelAgent extends HttpAgent {
  readonly #tunnels: Tunnels;

  constructor(tunnels: Tunnels, options: ConstructorParameters<typeof HttpAgent>[0]) {
    super(options);
    this.#tunnels = tunnels;
  }

  override createConnection(options: RequestOptions, callback: OnConnection): undefined {
    openTunnel(this.#tunnels, options, callback, (socket) => socket);
  }

  override destroy(): void {
    this.#tunnels.close();
    super.destroy();
  }
}

function openTunnel(
  tunnels: Tunnels,
  { host, port }: RequestOptions,
  callback: OnConnection,
  use: (socket: Duplex) => Duplex,
): void {
  tunnels.open(host!, Number(port)).then(
    (socket) => callback(null, use(socket)),
    // An agent takes no stream together with an error.
    (error: Error) => callback(error, undefined as never),
  );
}
