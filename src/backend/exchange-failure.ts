import { messageOf, YoreError } from "../errors.js";
import { RefusedError } from "./refused-error.js";
import { ServerDefectError } from "./server-defect-error.js";

/** Node.js says no more of an answer whose connection was closed than "aborted". */
export const CONNECTION_CLOSED = "the connection was closed";

export interface FailedExchange {
  /** "no answer": what did not come about. */
  readonly what: string;
  /** As people may see it. */
  readonly proxy: string | undefined;
  /** No earlier request had used the connection. */
  readonly isFirst: boolean;
  readonly hasClientCertificate: boolean;
}

/** What is told of a request that came to nothing, and whether another try is worth it: whether it is a `RefusedError`. */
export function exchangeFailure(error: unknown, exchange: FailedExchange): YoreError {
  if (error instanceof YoreError && error.code === "interrupted") return error;
  if (error instanceof ServerDefectError) return error;
  const refusal = tlsRefusal(error, exchange.hasClientCertificate);
  if (refusal) return refusal;
  const way = exchange.proxy === undefined ? "" : ` through proxy "${exchange.proxy}"`;
  const message = `${exchange.what}${way}: ${reasonOf(error)}`;
  // What is left of an earlier answer is no HTTP either; a new connection has none of it.
  if (isNoHttp(error) && exchange.isFirst)
    return new RefusedError(message, { cause: error, hint: "Is there a REST server at this URL?" });
  if (error instanceof RefusedError)
    return new RefusedError(message, {
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  return new YoreError(error instanceof YoreError ? error.code : "backend", message, { cause: error });
}

function reasonOf(error: unknown): string {
  const reason = messageOf(error);
  if (isNoHttp(error)) return `what came is no HTTP (${reason.replace("Parse Error: ", "")})`;
  return reason === "aborted" ? CONNECTION_CLOSED : reason;
}

function isNoHttp(error: unknown): boolean {
  return codeOf(error).startsWith("HPE_");
}

/** The next handshake would end as this one did. */
function tlsRefusal(error: unknown, hasClientCertificate: boolean): RefusedError | undefined {
  if (isCertificateProblem(error)) {
    return new RefusedError(`the server's certificate is not trusted: ${messageOf(error)}`, {
      cause: error,
      hint: "Name the certificate of who signed it with --cacert",
    });
  }
  if (wantsOtherCertificate(error)) {
    return new RefusedError(
      hasClientCertificate
        ? `the server does not accept the client certificate: ${alertOf(error)}`
        : `the server asks for a client certificate: ${alertOf(error)}`,
      { cause: error, hint: "Name a file with the certificate and its key with --tls-client-cert" },
    );
  }
  if (speaksNoTls(error)) {
    return new RefusedError("no answer: what is there does not speak TLS", {
      cause: error,
      hint: "Is the port right? A server without TLS has http:// in its URL, and gets the password unencrypted",
    });
  }
  return undefined;
}

/** What OpenSSL and Node.js say about certificates. */
function isCertificateProblem(error: unknown): boolean {
  return /^(?:CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/.test(
    codeOf(error),
  );
}

/** The server has ended the handshake, because of what it was shown or not shown. */
function wantsOtherCertificate(error: unknown): boolean {
  return /^ERR_SSL_\w+_ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/.test(
    codeOf(error),
  );
}

/** "certificate required": OpenSSL's message has it among numbers and files. */
function alertOf(error: unknown): string {
  return codeOf(error)
    .replace(/^.*_ALERT_/, "")
    .replaceAll("_", " ")
    .toLowerCase();
}

/** The first bytes of what came instead were taken for a record. Node.js has a code for that, or OpenSSL's words only. */
function speaksNoTls(error: unknown): boolean {
  return (
    /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(codeOf(error)) ||
    (codeOf(error) === "EPROTO" && /wrong version number|packet length too long/.test(messageOf(error)))
  );
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}
