/** Where the service is, how the way there is guarded, and as whom it is called. */

import { isIPv4 } from "node:net";

import { ChannelCredentials, credentials } from "@grpc/grpc-js";

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

export interface EndpointOptions {
  readonly tls?: Tls;
  /** True for plaintext, false for TLS; otherwise plaintext on loopback only. */
  readonly plaintext?: boolean;
  /** Goes with every call as `authorization: Bearer …`; never in plaintext to another machine. */
  readonly token?: Token;
}

const SCHEMES = /^(dns:\/\/\/|dns:(?!\/\/)|ipv4:|ipv6:)/;

/** What a header can carry: ASCII without control characters. */
const SENDABLE = /^[\x20-\x7e]+$/;

/** Settings that were checked against each other, so that no token leaks later. */
export class Endpoint {
  readonly address: string;
  readonly onLoopback: boolean;
  readonly inPlaintext: boolean;
  readonly #tls: Tls;
  readonly #token: Token | undefined;

  constructor(address: string, { tls, plaintext, token }: EndpointOptions) {
    this.address = address;
    this.onLoopback = isOnLoopback(address);
    this.inPlaintext = plaintext ?? (tls === undefined && this.onLoopback);
    this.#tls = tls ?? {};
    this.#token = token;
    if (tls !== undefined && plaintext === true) {
      throw new TypeError("Plaintext and TLS exclude each other.");
    }
    if ((this.#tls.privateKey === undefined) !== (this.#tls.certificateChain === undefined)) {
      throw new TypeError("A private key and its certificate chain need each other.");
    }
    if (token !== undefined && this.inPlaintext && !this.onLoopback) {
      throw new TypeError("A token would be readable on the way: use TLS.");
    }
  }

  credentials(): ChannelCredentials {
    if (this.inPlaintext) return credentials.createInsecure();
    const { rootCertificates, privateKey, certificateChain } = this.#tls;
    return credentials.createSsl(rootCertificates, privateKey, certificateChain);
  }

  /** Return the header that says who calls now; undefined where nobody needs to know. */
  async authorization(): Promise<string | undefined> {
    if (this.#token === undefined) return undefined;
    const given = typeof this.#token === "string" ? this.#token : await this.#token();
    // Files end in a newline, which a header may not hold.
    const token = given.trim();
    if (!SENDABLE.test(token)) {
      // gRPC would refuse it too, but quote it.
      throw new TypeError("The token is empty or holds what a header cannot carry.");
    }
    return `Bearer ${token}`;
  }
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
