import { connect, isIP, type Socket } from "node:net";
import { YoreError } from "../errors.js";
import type { ProxyServer } from "./proxies.js";
import { RefusedError } from "./refused-error.js";
import type { Tunnels } from "./tunnel-agent.js";

/*
 * SOCKS 5 (RFC 1928), and how a user proves to be one (RFC 1929):
 *
 *   asked                                      answered
 *   5, count, that many methods                5, method
 *   1, length, user, length, password          1, 0 when they are right
 *   5, 1 to connect, 0, address, port (2)      5, reply, 0, address, port (2)
 *
 * An address is 1 and 4 bytes, 4 and 16, or 3, a length and a name.
 */
const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** What the replies mean, by their number. */
const REPLIES = [
  "it has opened the way",
  "it failed",
  "it does not allow the way to the server",
  "it does not reach the server's network",
  "it does not reach the server",
  "the server refuses its connection",
  "the server is too far away for it",
  "it opens no connections",
  "it knows no such addresses",
];
/** Replies that would be the same another time. */
const REFUSALS = [2, 7, 8];

/** Ways through a SOCKS proxy, which looks up the names of the servers itself. */
export class SocksTunnels implements Tunnels {
  readonly #proxy: ProxyServer;
  readonly #connectTimeoutMs: number;
  readonly #opening = new Set<Socket>();

  constructor(proxy: ProxyServer, connectTimeoutMs: number) {
    this.#proxy = proxy;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  async open(host: string, port: number): Promise<Socket> {
    const { hostname, port: proxyPort } = this.#proxy;
    const socket = connect({ host: hostname, port: Number(proxyPort), noDelay: true });
    const late = () => socket.destroy(new YoreError("timeout", "it opens no way to the server"));
    const timer = setTimeout(late, this.#connectTimeoutMs);
    this.#opening.add(socket);
    // Whoever reads is told; between two reads, and until somebody takes the connection over, nobody listens.
    socket.on("error", () => {});
    try {
      await negotiate(socket, this.#proxy.credentials);
      await requestWay(socket, host, port);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#opening.delete(socket);
    }
  }

  close(): void {
    for (const socket of this.#opening) socket.destroy();
  }
}

async function negotiate(socket: Socket, credentials: ProxyServer["credentials"]): Promise<void> {
  const methods = credentials ? [NO_AUTHENTICATION, USER_AND_PASSWORD] : [NO_AUTHENTICATION];
  socket.write(Buffer.from([VERSION, methods.length, ...methods]));
  const [version, method] = await readBytes(socket, 2);
  if (version !== VERSION) throw new RefusedError("it does not speak SOCKS 5");
  if (method === NO_AUTHENTICATION) return;
  if (!credentials)
    throw new RefusedError("it asks for a user and a password", {
      hint: "Put user and password of the proxy into its URL",
    });
  if (method !== USER_AND_PASSWORD) throw new RefusedError("it takes no user and password");
  const { user, password } = credentials;
  socket.write(
    Buffer.concat([Buffer.from([1, user.length]), user, Buffer.from([password.length]), password]),
  );
  const [, status] = await readBytes(socket, 2);
  if (status !== 0)
    throw new RefusedError("it does not take the user and the password", {
      hint: "Check user and password in the URL of the proxy",
    });
}

async function requestWay(socket: Socket, host: string, port: number): Promise<void> {
  const request = [
    Buffer.from([VERSION, CONNECT, 0]),
    encodeAddress(host),
    Buffer.from([port >> 8, port & 255]),
  ];
  socket.write(Buffer.concat(request));
  const [version, reply, , type] = await readBytes(socket, 4);
  if (version !== VERSION) throw new RefusedError("it does not speak SOCKS 5");
  if (reply !== 0) {
    const message = REPLIES[reply!] ?? `it answered ${reply}`;
    throw REFUSALS.includes(reply!) ? new RefusedError(message) : new YoreError("backend", message);
  }
  // From where it has connected, which concerns nobody.
  const length = type === NAME ? (await readBytes(socket, 1))[0]! : type === IPV6 ? 16 : 4;
  await readBytes(socket, length + 2);
}

/** An address with a zone goes as a name: what the zone means is known there. */
function encodeAddress(host: string): Buffer {
  const version = host.includes("%") ? 0 : isIP(host);
  if (version === 4) return Buffer.from([IPV4, ...host.split(".").map(Number)]);
  if (version === 6) return Buffer.from([IPV6, ...ipv6Bytes(host)]);
  const name = Buffer.from(host);
  if (name.length > 255) throw new RefusedError("the name of the server has more than 255 bytes");
  return Buffer.concat([Buffer.from([NAME, name.length]), name]);
}

/** Of an address as `URL` writes it, without dots. */
function ipv6Bytes(address: string): number[] {
  const [before = [], after = []] = address.split("::").map((side) => side.split(":").filter(Boolean));
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].flatMap((group) => {
    const word = Number.parseInt(group, 16);
    return [word >> 8, word & 255];
  });
}

/** Exactly so many bytes; what comes after them stays in the connection. */
function readBytes(socket: Socket, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onReadable = () => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes?.length === count) settle(() => resolve(bytes));
    };
    const onClose = () => {
      const reason = socket.errored ?? new Error("it has closed the connection");
      settle(() => reject(reason));
    };
    const settle = (how: () => void) => {
      socket.off("readable", onReadable).off("close", onClose);
      how();
    };
    socket.on("readable", onReadable).on("close", onClose);
    if (socket.closed) onClose();
    else onReadable();
  });
}
