/** Certificates that are renewed while a client is at work, over genuine TLS. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { status } from "@grpc/grpc-js";

import { EntitlementCache, Unavailable, type BillingClient } from "../src/index.js";
import { WITHOUT_OPENSSL } from "./certificates.js";
import { SILENCE, ScriptedService } from "./scripted-service.js";
import { HASTE, Recorder } from "./scripted-time.js";
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
  service = await ScriptedService.start(authorities.exclusive());
});
afterEach(() => {
  if (WITHOUT_OPENSSL) return;
  secrets.remove();
  service.stop();
});

/** Call until the service sees this caller. No call may fail. */
async function calledAs(client: BillingClient, name: string): Promise<void> {
  await eventually(async () => {
    await client.checkEntitlement(CHECK);
    return service.received.at(-1)?.caller === name;
  });
}

const callers = () => new Set(service.received.map(({ caller }) => caller));

test("certificates come from files, and only the right ones will do", OPTIONS, async () => {
  await secrets.client(service).checkEntitlement(CHECK);
  assert.deepEqual(callers(), new Set(["first"]));

  await assert.rejects(
    secrets.client(service, { tlsFiles: { ca: secrets.ca } }).checkEntitlement(CHECK),
    Unavailable,
  );
  secrets.put(secrets.ca, authorities.callers.certificate);
  await assert.rejects(secrets.client(service).checkEntitlement(CHECK), Unavailable);
  assert.equal(service.received.length, 1);
});

test("a server by another name is not called", OPTIONS, async () => {
  const elsewhere = authorities.servers.issue("elsewhere", "DNS:billing.example");
  service.stop();
  service = await ScriptedService.start(authorities.exclusive(authorities.callers, elsewhere));
  await assert.rejects(secrets.client(service).checkEntitlement(CHECK), Unavailable);
  assert.equal(service.received.length, 0);
});

test("files that do not belong together are refused without being shown", OPTIONS, () => {
  const other = authorities.callers.issue("other");
  const spoilt: [string, Buffer | string][] = [
    [secrets.ca, "no certificate"],
    [secrets.ca, Buffer.concat([readFileSync(secrets.ca), other.chain.subarray(0, 200)])],
    [secrets.certificate, readFileSync(secrets.certificate).subarray(0, 200)],
    [secrets.certificate, other.chain],
    [secrets.key, other.key],
    [secrets.key, ""],
  ];
  for (const [file, content] of spoilt) {
    const whole = readFileSync(file);
    secrets.put(file, content);
    assert.throws(
      () => secrets.client(service),
      (error: Error) => {
        assert.ok(error.message.includes(file), error.message);
        assert.ok(!error.message.includes("-----"));
        return true;
      },
    );
    secrets.put(file, whole);
  }
  secrets.lose(secrets.key);
  assert.throws(() => secrets.client(service), /ENOENT/);
});

test("renewed certificates are used, and no call fails", OPTIONS, async () => {
  const client = secrets.client(service);
  for (const name of ["second", "third"]) {
    secrets.renew(authorities.callers.issue(name));
    await calledAs(client, name);
  }
  assert.equal(client.connection.channels, 1);
  assert.deepEqual(secrets.warnings, []);
});

test("calls and streams that have begun go on", OPTIONS, async () => {
  const client = secrets.client(service);
  const observer = new Recorder();
  const cache = await EntitlementCache.open(client, { observer, pace: HASTE });
  service.answer("getSessionStatus", SILENCE);
  const slow = client.getSessionStatus({ accountId: "acme", sessionId: "cs_1" });
  await eventually(() => service.received.length > 0);
  const stream = await service.nextStream();
  secrets.renew(authorities.callers.issue("second"));
  await calledAs(client, "second");

  stream.send({ revision: "r1", sendTime: new Date() });
  await cache.waitUntilReady();
  assert.equal(stream.caller, "first");
  assert.deepEqual(observer.errors, []);

  // The next one is of the renewed certificate.
  stream.end(status.UNAVAILABLE);
  assert.equal((await service.nextStream()).caller, "second");
  service.released.open();
  await slow;
  await eventually(() => client.connection.channels === 1);
  await cache.close();
});

test("half a renewal is told and not used", OPTIONS, async () => {
  const second = authorities.callers.issue("second");
  const client = secrets.client(service);
  await client.checkEntitlement(CHECK);
  secrets.put(secrets.certificate, second.chain);
  await eventually(async () => {
    await client.checkEntitlement(CHECK);
    return secrets.warnings.length > 0;
  });
  assert.deepEqual(callers(), new Set(["first"]));
  assert.ok(secrets.warnings[0]?.includes(secrets.certificate));
  assert.ok(!secrets.warnings[0]?.includes("-----"));

  secrets.put(secrets.key, second.key);
  await calledAs(client, "second");
});

test("what the service does not accept yet is not used yet", OPTIONS, async () => {
  const client = secrets.client(service, {
    channelOptions: { "grpc.max_reconnect_backoff_ms": 100 },
  });
  await client.checkEntitlement(CHECK);
  secrets.renew(authorities.laterCallers.issue("second"));
  await eventually(async () => {
    await client.checkEntitlement(CHECK);
    return client.connection.channels > 1;
  });
  // Long enough for a connection to be refused, and to be tried again.
  for (let calls = 0; calls < 100; calls++) await client.checkEntitlement(CHECK);
  assert.deepEqual(callers(), new Set(["first"]));

  secrets.renew(authorities.callers.issue("third"));
  await calledAs(client, "third");
  assert.equal(client.connection.channels, 1);
});

test("a client without a connection uses the renewed ones at once", OPTIONS, async () => {
  const { address } = service;
  const client = secrets.client(service);
  await client.checkEntitlement(CHECK);
  service.stop();
  secrets.renew(authorities.laterCallers.issue("second"));
  await service.listen(address, authorities.exclusive(authorities.laterCallers));
  // Files are looked at once a second.
  await pause(1100);
  await client.checkEntitlement(CHECK);
  assert.equal(service.received.at(-1)?.caller, "second");
});
