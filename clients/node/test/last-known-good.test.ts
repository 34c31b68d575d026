/** The file of what was known. */

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { EntitlementCache } from "../src/cache.js";
import { heldOf } from "../src/held.js";
import { UnusableFile, load, save, type Known } from "../src/last-known-good.js";
import { ScriptedService } from "./scripted-service.js";
import { Clocks, HASTE, Recorder, START, entitlement } from "./scripted-time.js";

const API = { feature: "api_access" };
const HOUR = 3_600_000;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paidup-"));
  path = join(folder, "known.json");
});

afterEach(() => rmSync(folder, { recursive: true }));

function known(ageMs = 0): Map<string, Known> {
  const held = heldOf([entitlement({ ...API, until: 60 }), entitlement({ product_id: "p" })]);
  return new Map([["acme", [held, ageMs]]]);
}

test("what was known is known after a restart without the service", async () => {
  const clock = new Clocks();
  const service = await ScriptedService.start();
  service.lists.set("acme", [entitlement(API)]);
  const options = { clock, pace: HASTE, lastKnownGoodPath: path };
  const before = await EntitlementCache.open(service.address, options);
  await before.check("acme", API);
  await before.close();
  service.stop();

  const nobody = "127.0.0.1:1";
  clock.passed += HOUR - 1000;
  const restarted = await EntitlementCache.open(nobody, options);
  assert.equal(restarted.state, "connecting");
  assert.equal(restarted.peek("acme", API).source, "last_known_good");
  assert.equal(restarted.entitled("acme", API), true);
  await restarted.close();

  clock.passed += 2000;
  const late = await EntitlementCache.open(nobody, options);
  assert.equal(late.peek("acme", API).source, "fallback");
  await late.close();
});

test("what is saved is loaded, older by the time between", async () => {
  await save(path, known(5000), START);
  const [held, age] = (await load(path, START + 1000, HOUR)).get("acme") ?? [];

  assert.ok(held);
  assert.deepEqual(held.features, known().get("acme")?.[0].features);
  assert.deepEqual(held.products, known().get("acme")?.[0].products);
  assert.equal(age, 6000);
});

test("what is too old is left out, and without a file nothing is known", async () => {
  assert.equal((await load(path, START, HOUR)).size, 0);
  await save(path, known(), START);
  assert.equal((await load(path, START + HOUR + 1, HOUR)).size, 0);
});

test("only its owner can read it, and nothing else is left", async () => {
  await save(path, known(), START);
  await save(path, known(), START);

  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ["known.json"]);
});

test("it is as the Python client writes it", async () => {
  await save(path, known(), START);

  assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), {
    version: 1,
    saved: START / 1000,
    accounts: {
      acme: {
        age: 0,
        features: { api_access: [START / 1000 + 60, 1, 0] },
        products: { p: [null, 1, 0] },
      },
    },
  });
});

const ACCOUNT = '{"age":0,"features":{},"products":{}}';
const NOT_UNDERSTOOD = [
  "",
  "[]",
  "null",
  '{"version":2,"saved":1,"accounts":{}}',
  '{"version":1,"saved":"1","accounts":{}}',
  '{"version":1,"saved":9999999999,"accounts":{}}',
  '{"version":1,"saved":1,"accounts":[]}',
  '{"version":1,"saved":1,"accounts":{"a":{}}}',
  `{"version":1,"saved":1,"accounts":{"a":${ACCOUNT.replace("0", "1e999")}}}`,
  `{"version":1,"saved":1,"accounts":{"a":${ACCOUNT.replace("{}", '{"f":[1e999,1,1]}')}}}`,
  `{"version":1,"saved":1,"accounts":{"a":${ACCOUNT.replace("{}", '{"f":[null,1]}')}}}`,
];

for (const [index, text] of NOT_UNDERSTOOD.entries()) {
  test(`a file that is not understood is not used: ${index}`, async () => {
    writeFileSync(path, text, { mode: 0o600 });
    await assert.rejects(load(path, START, Infinity), UnusableFile);
  });
}

test("a file that others can write, or a link, is not used, and the cache tells of it", async () => {
  await save(path, known(), START);
  const link = join(folder, "link");
  symlinkSync(path, link);
  await assert.rejects(load(link, START, HOUR), UnusableFile);
  chmodSync(path, 0o620);
  await assert.rejects(load(path, START, HOUR), UnusableFile);

  const observer = new Recorder();
  const options = { observer, clock: new Clocks(), lastKnownGoodPath: path };
  const cache = await EntitlementCache.open("127.0.0.1:1", options);
  assert.equal(observer.errors[0]?.[0], "restore");
  assert.equal(cache.entitled("acme", API), false);
  await cache.close();
});

test("a file that cannot be written is told of, and closing goes on", async () => {
  const observer = new Recorder();
  const options = { observer, lastKnownGoodPath: join(folder, "absent", "known.json") };
  const cache = await EntitlementCache.open("127.0.0.1:1", options);
  await cache.close();

  assert.deepEqual(observer.errors.at(-1)?.[0], "save");
});
