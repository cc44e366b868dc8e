import type { TransportOptions } from "../commands/session.js";
import { type Environment, readEnvironment } from "./environment.js";

/** The global flags about the way to a repository, as commander collects them. */
export interface TransportFlags {
  readonly limitUpload?: number;
  readonly limitDownload?: number;
  readonly cacert?: string[];
  readonly tlsClientCert?: string;
  readonly insecureTls?: boolean;
  readonly httpUserAgent?: string;
  readonly stuckRequestTimeout?: number;
}

export function resolveTransportOptions(flags: TransportFlags, env: Environment): TransportOptions {
  const given = flags.cacert ?? [readEnvironment(env, "CACERT")?.value ?? ""];
  return {
    uploadRate: kibToBytes(flags.limitUpload),
    downloadRate: kibToBytes(flags.limitDownload),
    rootCertificates: given.flatMap((list) => list.split(",")).filter((path) => path !== ""),
    clientCertificate: flags.tlsClientCert ?? readEnvironment(env, "TLS_CLIENT_CERT")?.value,
    insecureTls: flags.insecureTls,
    userAgent: flags.httpUserAgent ?? readEnvironment(env, "HTTP_USER_AGENT")?.value,
    stuckRequestMs: flags.stuckRequestTimeout || undefined,
    // As every program reads them: nothing of them is ours.
    proxies: {
      http: env["HTTP_PROXY"] || env["http_proxy"],
      https: env["HTTPS_PROXY"] || env["https_proxy"],
      none: env["NO_PROXY"] || env["no_proxy"],
    },
    restUsername: readEnvironment(env, "REST_USERNAME")?.value,
    restPassword: readEnvironment(env, "REST_PASSWORD")?.value,
  };
}

/** 0 is no limit, as with restic. */
function kibToBytes(kib: number | undefined): number | undefined {
  return kib ? kib * 1024 : undefined;
}
