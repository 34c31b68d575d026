/** What the cache does beside the cases of behaviour that every language shares. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { ServerCredentials, status } from "@grpc/grpc-js";

import { Backoff, Breaker } from "../src/attempts.js";
import { EntitlementCache } from "../src/cache.js";
import { cacheSettings, type CacheOptions } from "../src/cache-settings.js";
import { Accounts, Held, heldOf } from "../src/held.js";
import { BillingClient, EntitlementReason, InvalidRequest, Unavailable } from "../src/index.js";
import type { Subject } from "../src/index.js";
import { details, errorInfo } from "./details.js";
import { Failure, ScriptedService, type Stream } from "./scripted-service.js";
import { Clocks, HASTE, Recorder, START, entitlement } from "./scripted-time.js";
import { Gate, eventually } from "./waiting.js";

const API = { feature: "api_access" };

let service: ScriptedService;
let clock: Clocks;
let observer: Recorder;
const opened: EntitlementCache[] = [];

beforeEach(async () => {
  service = await ScriptedService.start();
  [clock, observer] = [new Clocks(), new Recorder()];
});

afterEach(async () => {
  for (const cache of opened.splice(0)) await cache.close();
  service.stop();
});

async function open(options: CacheOptions = {}, of: BillingClient | string = service.address) {
  const cache = await EntitlementCache.open(of, { clock, observer, pace: HASTE, ...options });
  opened.push(cache);
  return cache;
}

async function makeReady(cache: EntitlementCache): Promise<Stream> {
  const stream = await service.nextStream();
  stream.send({ revision: "r1", sendTime: new Date(clock.server()) });
  await cache.waitUntilReady();
  return stream;
}

test("a check is the decision alone", async () => {
  service.lists.set("acme", [entitlement(API)]);
  const cache = await open();

  assert.equal(await cache.check("acme", API), true);
  assert.equal(await cache.check("globex", API), false);
});

test("many who ask at once share one call", async () => {
  const gate = new Gate();
  service.hold = gate.passed;
  service.lists.set("acme", [entitlement(API)]);
  const cache = await open();
  const checks = Array.from({ length: 5 }, () => cache.check("acme", API));
  await eventually(() => service.listed.length > 0);
  gate.open();

  assert.deepEqual(new Set(await Promise.all(checks)), new Set([true]));
  assert.equal(service.listed.length, 1);
});

test("what the stream tells while an account is asked for stays", async () => {
  const gate = new Gate();
  service.hold = gate.passed;
  service.lists.set("acme", [entitlement(API)]);
  const cache = await open();
  const stream = await makeReady(cache);
  const check = cache.check("acme", API);
  await eventually(() => service.listed.length > 0);
  const account = { accountId: "acme", entitlements: [] };
  stream.send({ account, revision: "r2", sendTime: new Date(clock.server()) });
  await eventually(() => observer.messages.includes("account"));
  gate.open();
  await check;

  assert.equal(cache.entitled("acme", API), false);
  assert.equal(cache.peek("acme", API).source, "memory");
});

test("what no account can be called is the caller's mistake, with failOpen too", async () => {
  const packed = details(errorInfo("ERROR_REASON_INVALID_REQUEST"));
  service.lists.set("", new Failure(status.INVALID_ARGUMENT, "no", packed));
  const cache = await open({ failOpen: true });

  await assert.rejects(cache.check("", API), InvalidRequest);
});

test("a check names one thing", async () => {
  const cache = await open();
  for (const wrong of [{}, { feature: "a", productId: "b" }] as object[]) {
    await assert.rejects(cache.check("acme", wrong as Subject), TypeError);
    assert.throws(() => cache.entitled("acme", wrong as Subject), TypeError);
  }
});

test("while the service is away not every check waits for it", async () => {
  service.lists.set("acme", new Failure(status.INTERNAL));
  const cache = await open();
  for (let i = 0; i < 10; i++) {
    assert.equal((await cache.decide("acme", API)).source, "fallback");
  }
  assert.equal(service.listed.length, Breaker.FAILURES);

  clock.passed += Breaker.PAUSE;
  service.lists.set("acme", [entitlement(API)]);
  assert.equal((await cache.decide("acme", API)).source, "rpc");
});

test("the service may come after the cache, and come back after it was killed", async () => {
  const { address } = service;
  service.stop();
  const cache = await open({ accounts: ["acme"] });
  await eventually(() => observer.errors.length > 0);
  await assert.rejects(cache.waitUntilReady({ timeoutMs: 1 }), Unavailable);
  await service.listen(address, ServerCredentials.createInsecure());
  await makeReady(cache);
  service.stop();
  await service.listen(address, ServerCredentials.createInsecure());

  assert.equal((await service.nextStream()).request.resumeRevision, "r1");
});

test("an observer hears what happens", async () => {
  service.lists.set("acme", [entitlement(API)]);
  const cache = await open();
  const stream = await makeReady(cache);
  await cache.check("acme", API);
  cache.entitled("globex", API);
  stream.send({ reset: {}, revision: "r2" });
  await eventually(() => observer.states.length === 2);
  stream.end(status.INTERNAL);
  await eventually(() => observer.errors.length > 0);

  assert.deepEqual(observer.states, ["ready", "stale"]);
  assert.deepEqual(observer.messages, ["heartbeat", "reset"]);
  assert.deepEqual(observer.checks, [
    ["rpc", true],
    ["fallback", false],
  ]);
  assert.equal(observer.errors[0]?.[0], "watch");
});

test("a decision says what it rests on", async () => {
  service.lists.set("acme", [{ ...entitlement({ ...API, until: 60 }), quantity: 5 }]);
  const cache = await open();
  await makeReady(cache);
  await cache.check("acme", API);
  clock.passed += 3000;

  assert.deepEqual(cache.peek("acme", API), {
    accountId: "acme",
    feature: "api_access",
    productId: undefined,
    entitled: true,
    source: "memory",
    reason: EntitlementReason.ACTIVE,
    quantity: 5,
    validUntilTime: new Date(START + 60_000),
    ageMs: 3000,
  });
});

test("what is not understood entitles nobody", () => {
  const right = entitlement(API);
  const strange = [
    { ...right, entitled: false },
    { ...right, feature: undefined },
    { ...right, productId: "prod_basic" },
  ];
  assert.deepEqual([...heldOf(strange).features, ...heldOf(strange).products], []);

  const endless = heldOf([{ ...right, validUntilTime: new Date(NaN) }]);
  assert.equal(endless.features.get("api_access")?.until, -Infinity);
});

test("a cache that is closed asks nobody, and its stream ends", async () => {
  const cache = await open();
  const stream = await makeReady(cache);
  await cache.close();
  await eventually(() => stream.cancelled);

  await assert.rejects(cache.check("acme", API), { message: "The cache is closed." });
  assert.equal(cache.entitled("acme", API), false);
  assert.deepEqual(service.listed, []);
  assert.deepEqual(observer.errors, []);
});

test("closing leaves open a client that was given", async () => {
  const client = new BillingClient(service.address);
  const cache = await open({}, client);
  await makeReady(cache);
  await cache.close();

  assert.equal(await client.entitled("acme", API), false);
  client.close();
});

test("accounts that nobody asks about go first, and there are never more than allowed", () => {
  const accounts = new Accounts(2);
  accounts.put("asked", Object.assign(new Held(), { asked: true }));
  accounts.put("idle", new Held());
  accounts.put("new", new Held());
  assert.deepEqual([...accounts.byId.keys()], ["new", "asked"]);

  for (let i = 0; i < 9; i++) accounts.put(`${i}`, Object.assign(new Held(), { asked: true }));
  assert.equal(accounts.byId.size, 2);
});

test("pauses double up to the longest and vary", () => {
  const backoff = new Backoff({ ...HASTE, firstRetry: 100, longestRetry: 1000 });
  for (const most of [100, 200, 400, 800, 1000, 1000]) {
    const delay = backoff.nextDelay();
    assert.ok(delay >= most / 2 && delay <= most, `${delay} of ${most}`);
  }
  backoff.succeeded();
  assert.ok(backoff.nextDelay() <= 100);
});

const SENSELESS: CacheOptions[] = [
  { accounts: [] },
  { accounts: Array.from({ length: 10_001 }, (_, i) => `${i}`), maxAccounts: 20_000 },
  { maxStalenessMs: 9_999 },
  { maxStalenessMs: Infinity },
  { maxStalenessMs: NaN },
  { lastKnownGoodMaxAgeMs: -1 },
  { rpcTimeoutMs: 0 },
  { maxAccounts: 0 },
  { accounts: ["a", "b"], maxAccounts: 1 },
];

for (const [index, options] of SENSELESS.entries()) {
  test(`settings that make no sense are refused: ${index}`, () => {
    assert.throws(() => cacheSettings(options), RangeError);
  });
}

test("one account is named in a list, and nobody is let in by a mistaken failOpen", () => {
  assert.throws(() => cacheSettings({ accounts: "acme" }), TypeError);
  assert.equal(cacheSettings({}).failOpen, false);
  const mistaken = { failOpen: "false" } as unknown as CacheOptions;
  assert.equal(cacheSettings(mistaken).failOpen, false);
});
