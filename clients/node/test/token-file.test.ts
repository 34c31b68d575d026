/** Tokens in files, that are renewed while a client is at work, over genuine TLS. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { inspect } from "node:util";

import { status } from "@grpc/grpc-js";

import { EntitlementCache, Unauthenticated } from "../src/index.js";
import { WITHOUT_OPENSSL } from "./certificates.js";
import { ScriptedService } from "./scripted-service.js";
import { Clocks, HASTE, Recorder } from "./scripted-time.js";
import { Authorities, Secrets } from "./secrets.js";
import { eventually } from "./waiting.js";

const CHECK = { accountId: "acme", feature: "api_access" };
const OPTIONS = { skip: WITHOUT_OPENSSL };

let authorities: Authorities;
let secrets: Secrets;
let service: ScriptedService;

before(() => {
  if (!WITHOUT_OPENSSL) authorities = new Authorities();
});
after(() => {
  if (!WITHOUT_OPENSSL) authorities.remove();
});
beforeEach(async () => {
  if (WITHOUT_OPENSSL) return;
  secrets = new Secrets(authorities);
  service = await ScriptedService.start(authorities.open());
});
afterEach(() => {
  if (WITHOUT_OPENSSL) return;
  secrets.remove();
  service.stop();
});

test("a renewed token is used", OPTIONS, async () => {
  secrets.put(secrets.token, "first\n");
  service.token = "first";
  const client = secrets.clientWithToken(service);
  await client.checkEntitlement(CHECK);

  secrets.put(secrets.token, "second\n");
  service.token = "second";
  const refused: unknown[] = [];
  await eventually(() =>
    client.checkEntitlement(CHECK).then(
      () => true,
      (error: unknown) => refused.push(error) < 0,
    ),
  );
  // The file is looked at once a second, so the old one may have been sent once more.
  assert.ok(refused.every((error) => error instanceof Unauthenticated));
  assert.equal(service.received.at(-1)?.metadata.get("authorization")[0], "Bearer second");
});

test("a token that is lost is told, and the last one is kept", OPTIONS, async () => {
  secrets.put(secrets.token, "first\n");
  service.token = "first";
  const client = secrets.clientWithToken(service);
  await client.checkEntitlement(CHECK);
  const spoil = [() => secrets.put(secrets.token, "sec\nret"), () => secrets.lose(secrets.token)];
  for (const [already, spoilt] of spoil.entries()) {
    spoilt();
    await eventually(async () => {
      await client.checkEntitlement(CHECK);
      return secrets.warnings.length > already;
    });
  }
  secrets.assertToldOnlyOf(secrets.token);
});

test("at the start a token has to be there", OPTIONS, () => {
  secrets.put(secrets.token, "sec\nret");
  assert.throws(
    () => secrets.clientWithToken(service),
    (error: Error) => error.message.includes(secrets.token) && !error.message.includes("sec\n"),
  );
  secrets.lose(secrets.token);
  assert.throws(() => secrets.clientWithToken(service), /ENOENT/);
});

test("nothing secret is shown", OPTIONS, () => {
  secrets.put(secrets.token, "s3cret\n");
  const hidden = { showHidden: true, depth: 20 };
  const shown = [
    secrets.clientWithToken(service),
    secrets.client(service),
    secrets.client(service, { token: "s3cret" }),
  ].map((each) => inspect(each, hidden));
  assert.ok(!/s3cret|PRIVATE KEY/.test(shown.join()));
});

test("a cache that is not let in goes stale, says so, and goes on trying", OPTIONS, async () => {
  secrets.put(secrets.token, "first\n");
  service.token = "first";
  const [clock, observer] = [new Clocks(), new Recorder()];
  const cache = await EntitlementCache.open(secrets.clientWithToken(service), {
    clock,
    observer,
    pace: HASTE,
  });
  const stream = await service.nextStream();
  stream.send({ revision: "r1", sendTime: new Date(clock.server()) });
  await cache.waitUntilReady();

  service.token = "second";
  stream.end(status.UNAUTHENTICATED);
  await eventually(() => observer.errors.length > 2);
  assert.ok(observer.errors.every(([, error]) => error instanceof Unauthenticated));
  clock.passed = 20_000;
  await eventually(() => cache.state === "stale");
  assert.equal(await cache.check("acme", { feature: "api_access" }), false);

  secrets.put(secrets.token, "second\n");
  const again = await service.nextStream();
  again.send({ revision: "r2", sendTime: new Date(clock.server()) });
  await cache.waitUntilReady();
  await cache.close();
});
