import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface SocksOptions {
  /** Who may use it: `user:password`, in the bytes of latin1; everybody when left out. */
  readonly login?: string | undefined;
  /** Instead of opening a way: a reply, or the message after which it says no more or goes away. */
  readonly trouble?:
    | { readonly reply: number }
    | { readonly silentAfter: number }
    | { readonly goneAfter: number };
  /** Of the address that it says it has connected from. */
  readonly boundType?: 1 | 3 | 4;
}

export interface SocksServer {
  readonly port: number;
  /** Where ways were asked for, and by whom. */
  readonly asked: {
    readonly type: number;
    readonly host: string;
    readonly port: number;
    readonly login?: string;
  }[];
  /** Connections that are open now, from clients. */
  readonly open: ReadonlySet<Socket>;
  /** Of those that wait in vain. */
  readonly silenced: Promise<unknown>;
  stop(): Promise<void>;
}

/** A SOCKS 5 server on a port of its own, for which every name is this machine's. It answers byte by byte. */
export async function startSocksServer(options: SocksOptions = {}): Promise<SocksServer> {
  const open = new Set<Socket>();
  const asked: SocksServer["asked"] = [];
  let onSilence = () => {};
  const silenced = new Promise<void>((resolve) => (onSilence = resolve));

  const server = createServer(async (client) => {
    open.add(client.on("close", () => open.delete(client)).on("error", () => {}));
    const read = reader(client);
    let login: string | undefined;
    try {
      await greet();
      const { reply, ...request } = await hear();
      asked.push(request);
      if (reply !== 0) return void client.end(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
      const inner = connect(request.port, request.type === 3 ? "127.0.0.1" : request.host);
      inner.on("error", () => client.destroy());
      client.on("close", () => inner.destroy());
      answer(5, 0, 0, ...BOUND[options.boundType ?? 1], 0, 80);
      client.pipe(inner).pipe(client);
    } catch {
      client.destroy();
    }

    async function greet(): Promise<void> {
      const methods = [...(await read((await read(2))[1]!))];
      await stumble(1);
      const method = [options.login === undefined ? 0 : 2].find((one) => methods.includes(one)) ?? 255;
      answer(5, method);
      if (method === 255) client.end();
      if (method !== 2) return;
      const user = await read((await read(2))[1]!);
      login = `${user.toString("latin1")}:${(await read((await read(1))[0]!)).toString("latin1")}`;
      await stumble(2);
      answer(1, login === options.login ? 0 : 1);
      if (login !== options.login) throw new Error("Wrong password");
    }

    async function hear(): Promise<SocksServer["asked"][number] & { readonly reply: number }> {
      const type = (await read(4))[3]!;
      const address = await read(type === 1 ? 4 : type === 4 ? 16 : (await read(1))[0]!);
      const port = (await read(2)).readUInt16BE();
      await stumble(3);
      const host = type === 3 ? address.toString() : type === 1 ? address.join(".") : groups(address);
      const reply = options.trouble && "reply" in options.trouble ? options.trouble.reply : 0;
      return { reply, type, host, port, ...(login !== undefined && { login }) };
    }

    async function stumble(message: number): Promise<void> {
      const { trouble = {} } = options;
      if ("goneAfter" in trouble && trouble.goneAfter === message) throw new Error("Gone");
      if (!("silentAfter" in trouble && trouble.silentAfter === message)) return;
      onSilence();
      await new Promise(() => {});
    }

    function answer(...bytes: number[]): void {
      for (const byte of bytes) client.write(Buffer.from([byte]));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    open,
    silenced,
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, "close");
    },
  };
}

const BOUND = {
  1: [1, 10, 0, 0, 1],
  3: [3, 4, ...Buffer.from("host")],
  4: [4, ...Buffer.alloc(16)],
} as const;

function groups(address: Buffer): string {
  return address.toString("hex").replace(/(.{4})(?=.)/g, "$1:");
}

/** Reads so many bytes of a connection. */
function reader(socket: Socket): (count: number) => Promise<Buffer> {
  return async (count) => {
    for (;;) {
      const bytes = count === 0 ? Buffer.alloc(0) : (socket.read(count) as Buffer | null);
      if (bytes?.length === count) return bytes;
      if (bytes || socket.destroyed || socket.readableEnded) throw new Error("Closed");
      await Promise.race([once(socket, "readable"), once(socket, "close")]);
    }
  };
}
