/** A folder in which a platform keeps what a caller proves itself by, and a service that asks for it. */

import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ServerCredentials } from "@grpc/grpc-js";

import type { ConnectionOptions } from "../src/connection.js";
import { BillingClient } from "../src/index.js";
import { Authority, type Certificate } from "./certificates.js";

export class Authorities {
  readonly #folder = mkdtempSync(join(tmpdir(), "paidup-"));
  readonly servers = new Authority(this.#folder, "servers");
  readonly callers = new Authority(this.#folder, "callers");
  readonly laterCallers = new Authority(this.#folder, "later callers");
  readonly server = this.servers.issue("billing");

  /** Lets nobody in without a certificate that the authority has issued. */
  exclusive(callers = this.callers, own = this.server): ServerCredentials {
    const pair = { private_key: own.key, cert_chain: own.chain };
    return ServerCredentials.createSsl(callers.certificate, [pair], true);
  }

  /** Asks nobody for a certificate. */
  open(): ServerCredentials {
    const { key, chain } = this.server;
    return ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: chain }]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

export class Secrets {
  readonly #folder = mkdtempSync(join(tmpdir(), "paidup-"));
  readonly #clients: BillingClient[] = [];
  readonly warnings: string[] = [];
  readonly ca = join(this.#folder, "ca.crt");
  readonly certificate = join(this.#folder, "tls.crt");
  readonly key = join(this.#folder, "tls.key");
  readonly token = join(this.#folder, "token");

  constructor(authorities: Authorities) {
    this.put(this.ca, authorities.servers.certificate);
    this.renew(authorities.callers.issue("first"));
  }

  put(file: string, content: Buffer | string): void {
    const renewed = join(this.#folder, "renewed");
    writeFileSync(renewed, content);
    renameSync(renewed, file);
  }

  lose(file: string): void {
    unlinkSync(file);
  }

  renew({ key, chain }: Certificate): void {
    this.put(this.certificate, chain);
    this.put(this.key, key);
  }

  /** Make a client that shows its certificate, unless the options say otherwise. */
  client({ address }: { address: string }, options: ConnectionOptions = {}): BillingClient {
    const { ca, certificate, key } = this;
    const warn = (message: string) => this.warnings.push(message);
    const client = new BillingClient(address, {
      tlsFiles: { ca, certificate, key },
      warn,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** Make a client that shows a token. */
  clientWithToken(service: { address: string }): BillingClient {
    return this.client(service, { tlsFiles: { ca: this.ca }, tokenFile: this.token });
  }

  /** What was told must not show what the files hold. */
  assertToldOnlyOf(file: string): void {
    assert.ok(this.warnings[0]?.includes(file));
    assert.ok(!/-----|first|sec\nret/.test(this.warnings.join()));
  }

  remove(): void {
    for (const client of this.#clients) client.close();
    rmSync(this.#folder, { recursive: true });
  }
}
