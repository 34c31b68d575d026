/** Certificates for tests, made anew by OpenSSL. */

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const WITHOUT_OPENSSL = spawnSync("openssl", ["version"]).error
  ? "OpenSSL's command line is not installed"
  : false;

export interface Certificate {
  readonly key: Buffer;
  readonly chain: Buffer;
}

const HERE = "DNS:localhost,IP:127.0.0.1";
const KIND = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"];

/** Vouches for others. */
export class Authority {
  readonly #folder: string;
  readonly #name: string;
  readonly certificate: Buffer;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.certificate = this.#make(name, []).chain;
  }

  issue(name: string, hosts = HERE): Certificate {
    const { key, chain } = this.#files(this.#name);
    const by = ["-CA", chain, "-CAkey", key, "-addext", "basicConstraints=critical,CA:FALSE"];
    return this.#make(name, [...by, "-addext", `subjectAltName=${hosts}`]);
  }

  #files(name: string) {
    const path = join(this.#folder, name);
    return { key: `${path}.key`, chain: `${path}.pem` };
  }

  #make(name: string, more: readonly string[]): Certificate {
    const { key, chain } = this.#files(name);
    const files = ["-keyout", key, "-out", chain];
    const command = ["req", "-x509", ...KIND, "-subj", `/CN=${name}`, ...more, ...files];
    execFileSync("openssl", command, { stdio: "ignore" });
    return { key: readFileSync(key), chain: readFileSync(chain) };
  }
}
