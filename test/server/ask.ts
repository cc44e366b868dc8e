import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
}

export interface Question {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** "user:password" */
  readonly auth?: string;
}

/** One request on a connection of its own; the path goes out exactly as it is given. */
export function ask(server: string, method: string, path: string, question: Question = {}): Promise<Answer> {
  const { hostname, port } = new URL(server);
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      hostname,
      port,
      method,
      path,
      agent: false,
      headers: {
        ...question.headers,
        ...(question.body !== undefined && { "content-length": Buffer.byteLength(question.body) }),
      },
      ...(question.auth !== undefined && { auth: question.auth }),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const body = Buffer.concat(pieces);
        resolve({ status: response.statusCode!, headers: response.headers, body, text: body.toString() });
      });
    });
    request.end(question.body);
  });
}

/** Bytes as they are, for what no client would send. Resolves with all that came back when the connection ends. */
export function askRaw(server: string, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(server);
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") resolve(Buffer.concat(pieces).toString());
      else reject(error);
    });
    socket.on("close", () => resolve(Buffer.concat(pieces).toString()));
  });
}

/** A connection that is written to byte by byte, and everything that came back on it. */
export interface RawConnection {
  readonly socket: Socket;
  readonly said: () => string;
  readonly closed: Promise<void>;
}

/** To be destroyed by who has opened it. */
export function connectRaw(server: string): RawConnection {
  const { hostname, port } = new URL(server);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.on("data", (piece: Buffer) => {
    text += piece.toString("latin1");
  });
  socket.on("error", () => {});
  return {
    socket,
    said: () => text,
    closed: new Promise((resolve) => socket.on("close", () => resolve())),
  };
}
