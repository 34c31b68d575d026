/** The real service, by each proof that it accepts. Run by tests/acceptance. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import {
  BillingClient,
  EntitlementCache,
  Unauthenticated,
  Unavailable,
  type ConnectionOptions,
} from "../../src/index.js";
import { eventually } from "../waiting.js";

function given(name: string): string {
  const value = process.env[`PAIDUP_TEST_${name}`];
  if (value === undefined) throw new Error(`PAIDUP_TEST_${name} says what to call.`);
  return value;
}

const ca = given("CA");
const folder = given("FOLDER");
const byCertificate = given("CERTIFICATE_ADDRESS");
const byToken = given("TOKEN_ADDRESS");
const API = { feature: "api_access" };

const PROOFS: [string, string, ConnectionOptions][] = [
  [
    "a certificate",
    byCertificate,
    { tlsFiles: { ca, certificate: join(folder, "tls.crt"), key: join(folder, "tls.key") } },
  ],
  [
    "a service account's token",
    byToken,
    { tlsFiles: { ca }, tokenFile: join(folder, "service account") },
  ],
  ["a token of its own", byToken, { tlsFiles: { ca }, tokenFile: join(folder, "token") }],
];

for (const [proof, address, options] of PROOFS) {
  test(`${proof} lets client and cache in`, async () => {
    const client = new BillingClient(address, options);
    assert.equal(await client.entitled("acme", API), false);
    const cache = await EntitlementCache.open(client, { accounts: ["acme"] });
    await cache.waitUntilReady();
    assert.equal(cache.entitled("acme", API), false);
    await cache.close();
    client.close();
  });
}

test("who proves nothing is not let in", async () => {
  const unknown = new BillingClient(byToken, { tlsFiles: { ca }, token: "wrong" });
  await assert.rejects(unknown.entitled("acme", API), (error: Error) => {
    assert.ok(error instanceof Unauthenticated);
    assert.equal(error.reasonName, "ERROR_REASON_UNAUTHENTICATED");
    return true;
  });
  const nobody = new BillingClient(byCertificate, { tlsFiles: { ca } });
  await assert.rejects(nobody.entitled("acme", API), Unavailable);
  for (const client of [unknown, nobody]) client.close();
});

test("a token that is renewed is used without another client", async () => {
  const own = mkdtempSync(join(tmpdir(), "paidup-"));
  const tokenFile = join(own, "token");
  writeFileSync(tokenFile, "wrong");
  const client = new BillingClient(byToken, { tlsFiles: { ca }, tokenFile });
  await assert.rejects(client.entitled("acme", API), Unauthenticated);

  writeFileSync(tokenFile, readFileSync(join(folder, "token")));
  await eventually(() =>
    client.entitled("acme", API).then(
      () => true,
      () => false,
    ),
  );
  client.close();
  rmSync(own, { recursive: true });
});
