/** Where the service is, how the way there is guarded, and as whom it is called. */

import { isIPv4 } from "node:net";

/** A token, or what gives the current one. A function is called before every call. */
export type Token = string | (() => string | Promise<string>);

/** Certificates, each the content of a PEM file. */
export interface Tls {
  /** Whom to trust. Without it the roots that Node brings along. */
  readonly rootCertificates?: Buffer;
  /** The caller's own key and certificate chain, where the service asks for them. */
  readonly privateKey?: Buffer;
  readonly certificateChain?: Buffer;
}

/** Certificates as PEM files. When they are renewed, a client connects with the new ones. */
export interface TlsFiles {
  /** Whom to trust. Without it the roots that Node brings along. */
  readonly ca?: string;
  /** The caller's own certificate chain and its key, where the service asks for them. */
  readonly certificate?: string;
  readonly key?: string;
}

export interface EndpointOptions {
  readonly tls?: Tls;
  readonly tlsFiles?: TlsFiles;
  /**
   * True for plaintext, false for TLS; otherwise plaintext on loopback only. True sends a
   * token as it is, and so is for a mesh that encrypts.
   */
  readonly plaintext?: boolean;
  /** Goes with every call as `authorization: Bearer …`. */
  readonly token?: Token;
  /** A file that the token is in instead, read anew when it has changed. */
  readonly tokenFile?: string;
  /** Hears of files that cannot be used; without it, it is a warning of the process. */
  readonly warn?: (message: string) => void;
}

const SCHEMES = /^(dns:\/\/\/|dns:(?!\/\/)|ipv4:|ipv6:)/;

/** Settings that were checked against each other. */
export class Endpoint {
  readonly address: string;
  readonly onLoopback: boolean;
  readonly inPlaintext: boolean;
  readonly tls: Tls | undefined;
  readonly tlsFiles: TlsFiles | undefined;
  readonly token: Token | undefined;
  readonly tokenFile: string | undefined;
  readonly warn: (message: string) => void;

  constructor(address: string, options: EndpointOptions) {
    const { tls, tlsFiles, plaintext, token, tokenFile, warn = warnOfProcess } = options;
    this.address = address;
    this.onLoopback = isOnLoopback(address);
    this.inPlaintext = plaintext ?? ((tls ?? tlsFiles) === undefined && this.onLoopback);
    this.tls = tls;
    this.tlsFiles = tlsFiles;
    this.token = token;
    this.tokenFile = tokenFile;
    this.warn = warn;
    const wrong = RULES.find(([isWrong]) => isWrong(options));
    if (wrong !== undefined) throw new TypeError(wrong[1]);
  }
}

type Rule = readonly [isWrong: (options: EndpointOptions) => boolean, message: string];

const RULES: readonly Rule[] = [
  [
    ({ tls, tlsFiles, plaintext }) => plaintext === true && (tls ?? tlsFiles) !== undefined,
    "Plaintext and TLS exclude each other.",
  ],
  [
    ({ tls, tlsFiles }) => tls !== undefined && tlsFiles !== undefined,
    "Give certificates, or the files that they are in.",
  ],
  [
    ({ tls }) => (tls?.privateKey === undefined) !== (tls?.certificateChain === undefined),
    "A private key and its certificate chain need each other.",
  ],
  [
    ({ tlsFiles }) => (tlsFiles?.key === undefined) !== (tlsFiles?.certificate === undefined),
    "A private key and its certificate chain need each other.",
  ],
  [
    ({ tlsFiles }) => tlsFiles !== undefined && (tlsFiles.ca ?? tlsFiles.key) === undefined,
    "Name a file at least, or leave tlsFiles out.",
  ],
  [
    ({ token, tokenFile }) => token !== undefined && tokenFile !== undefined,
    "Give a token, or the file that it is in.",
  ],
];

function warnOfProcess(message: string): void {
  process.emitWarning(message, "PaidupWarning");
}

/** Whether nothing sent there leaves this machine. In doubt, it does. */
function isOnLoopback(address: string): boolean {
  if (address.startsWith("unix:")) return true;
  return address.replace(SCHEMES, "").split(",").map(hostOf).every(isLoopback);
}

function hostOf(endpoint: string): string {
  if (endpoint.startsWith("[")) return endpoint.slice(1).split("]", 1)[0] ?? "";
  return endpoint.split(":", 1)[0] ?? "";
}

function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost" || host === "::1") return true;
  return isIPv4(host) && host.startsWith("127.");
}
