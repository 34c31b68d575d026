/** Certificates as files hold them, looked at before they are used. */

import { X509Certificate } from "node:crypto";

import { credentials, type ChannelCredentials } from "@grpc/grpc-js";

import type { Endpoint, TlsFiles } from "./endpoint.js";
import { FollowedFiles, readBounded } from "./followed-files.js";

/** With or without its end: one that was cut off must not go unseen. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----(?:[^-]*-----END CERTIFICATE-----)?/g;

/** Return what gives the credentials of now; the same object until files change. */
export function channelCredentials(endpoint: Endpoint): () => ChannelCredentials {
  const { inPlaintext, tls, tlsFiles, warn } = endpoint;
  if (tlsFiles !== undefined) {
    const { ca, certificate, key } = tlsFiles;
    const files = [ca, certificate, key].filter((each) => each !== undefined);
    const followed = new FollowedFiles({ files, read: () => read(tlsFiles), warn });
    return () => followed.current();
  }
  const { rootCertificates, privateKey, certificateChain } = tls ?? {};
  const fixed = inPlaintext
    ? credentials.createInsecure()
    : credentials.createSsl(rootCertificates, privateKey, certificateChain);
  return () => fixed;
}

function read({ ca, certificate, key }: TlsFiles): ChannelCredentials {
  const roots = ca === undefined ? null : readBounded(ca);
  if (ca !== undefined && roots !== null) requireWhole(ca, roots);
  if (certificate === undefined || key === undefined) return credentials.createSsl(roots);
  const [chain, own] = [readBounded(certificate), readBounded(key)];
  requireWhole(certificate, chain);
  try {
    return credentials.createSsl(roots, own, chain);
  } catch (error) {
    const complaint = `With ${key}, not a certificate in PEM and its unencrypted key.`;
    throw new TypeError(`${certificate}: ${complaint}`, { cause: error });
  }
}

/** Node takes what it understands of a bundle, and says nothing of the rest. */
function requireWhole(file: string, content: Buffer): void {
  const found = content.toString("latin1").match(CERTIFICATE) ?? [];
  if (found.length === 0 || !found.every(isCertificate)) {
    throw new TypeError(`${file}: Not whole certificates in PEM.`);
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
