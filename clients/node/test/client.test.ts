/** Requests, deadlines and repetitions, over genuine gRPC. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { status } from "@grpc/grpc-js";

import {
  BillingClient,
  DeadlineExceeded,
  Unavailable,
  UiMode,
  type Subject,
} from "../src/index.js";
import { Failure, SILENCE, ScriptedService } from "./scripted-service.js";
import { eventually } from "./waiting.js";

const CHECK = { accountId: "acme", feature: "api_access" };
const BUY = { accountId: "acme", lineItems: [{ price: "pro_monthly" }] };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let service: ScriptedService;
let client: BillingClient;

beforeEach(async () => {
  service = await ScriptedService.start();
  client = new BillingClient(service.address);
});

afterEach(() => {
  client.close();
  service.stop();
});

test("arguments arrive as the fields of the same name", async () => {
  const metadata = { team: "blue" };
  const uiMode = UiMode.HOSTED_PAGE;
  await client.createCheckoutSession({ ...BUY, uiMode, successUrl: "https://a.example", metadata });
  await client.getSessionStatus({ accountId: "acme", sessionId: "cs_1" });
  await client.createPortalSession({ accountId: "acme", returnUrl: "https://a.example" });
  await client.batchCheckEntitlements({ checks: [CHECK, { accountId: "b", productId: "p" }] });
  await client.listSubscriptions({ accountId: "acme", pageSize: 7, pageToken: "next" });

  const [checkout, session, portal, batch, page] = service.received.map((each) => each.request);
  assert.deepEqual(checkout?.["lineItems"], [{ price: "pro_monthly", quantity: 0 }]);
  assert.deepEqual(checkout["metadata"], metadata);
  assert.equal(checkout["uiMode"], uiMode);
  assert.equal(session?.["sessionId"], "cs_1");
  assert.equal(portal?.["returnUrl"], "https://a.example");
  assert.deepEqual(batch?.["checks"], [
    { accountId: "acme", feature: "api_access", productId: undefined },
    { accountId: "b", feature: undefined, productId: "p" },
  ]);
  assert.equal(page?.["pageSize"], 7);
  assert.equal(page["pageToken"], "next");
});

test("a check says how fresh its answer must be", async () => {
  await client.checkEntitlement({ ...CHECK, atLeastRevision: "r7" });
  await client.checkEntitlement({ ...CHECK, fullyConsistent: true });
  await client.checkEntitlement(CHECK);

  assert.deepEqual(
    service.received.map((each) => each.request["consistency"]),
    [
      { atLeastRevision: "r7", fullyConsistent: undefined },
      { atLeastRevision: undefined, fullyConsistent: true },
      undefined,
    ],
  );
});

test("entitled is the decision alone, and no decision entitles nobody", async () => {
  service.answer("checkEntitlement", { entitlement: { entitled: true } }, { entitlement: {} }, {});

  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(await client.entitled("acme", { productId: "p" }));

  assert.deepEqual(answers, [true, false, false]);
});

test("a check that says too little or too much is not sent", async () => {
  const wrong: object[] = [{}, { feature: "a", productId: "b" }];
  for (const subject of wrong) {
    await assert.rejects(client.entitled("acme", subject as Subject), TypeError);
  }
  await assert.rejects(
    client.checkEntitlement({ ...CHECK, atLeastRevision: "r1", fullyConsistent: true }),
    TypeError,
  );
  assert.deepEqual(service.received, []);
});

test("every checkout without a request id gets its own, the same over all attempts", async () => {
  service.answer("createCheckoutSession", new Failure(status.UNAVAILABLE));
  await client.createCheckoutSession(BUY);
  await client.createCheckoutSession(BUY);
  await client.createCheckoutSession({ ...BUY, requestId: "mine" });

  const ids = service.received.map(({ request }) => request["requestId"] as string);
  assert.equal(ids[0], ids[1]);
  assert.equal(new Set(ids).size, 3);
  assert.match(ids[0] ?? "", UUID);
  assert.equal(ids[3], "mine");
});

test("every call has a deadline, and may set its own", async () => {
  await client.createCheckoutSession(BUY);
  await client.checkEntitlement(CHECK);
  await client.checkEntitlement(CHECK, { timeoutMs: 60_000 });

  const [checkout = 0, check = 0, own = 0] = service.received.map((each) => each.remainingMs);
  assert.ok(checkout > 2_000 && checkout <= 30_000, String(checkout));
  assert.ok(check > 0 && check <= 2_000, String(check));
  assert.ok(own > 30_000 && own <= 60_000, String(own));
});

for (const timeoutMs of [0, -1, NaN, Infinity]) {
  test(`no call goes with a deadline of ${timeoutMs}`, async () => {
    await assert.rejects(client.checkEntitlement(CHECK, { timeoutMs }), RangeError);
    assert.deepEqual(service.received, []);
  });
}

test("no answer in time is a deadline exceeded", async () => {
  service.answer("checkEntitlement", SILENCE);
  await assert.rejects(client.checkEntitlement(CHECK, { timeoutMs: 100 }), DeadlineExceeded);
});

test("a call that is given up rejects with the reason, and ends", async () => {
  service.answer("checkEntitlement", SILENCE);
  const giving = new AbortController();
  const call = client.checkEntitlement(CHECK, { signal: giving.signal, timeoutMs: 60_000 });
  await eventually(() => service.received.length === 1);
  giving.abort(new Error("enough"));

  await assert.rejects(call, { message: "enough" });
  await assert.rejects(client.checkEntitlement(CHECK, { signal: giving.signal }), /enough/);
});

test("what is safe to repeat is repeated, four times at most", async () => {
  const away = new Failure(status.UNAVAILABLE);
  service.answer("checkEntitlement", away, away, away, { entitlement: { entitled: true } });
  assert.equal(await client.entitled("acme", CHECK), true);
  assert.equal(service.received.length, 4);

  service.answer("checkEntitlement", away, away, away, away);
  await assert.rejects(client.entitled("acme", CHECK), Unavailable);
  assert.equal(service.received.length, 8);
});

test("a portal session is asked for once", async () => {
  service.answer("createPortalSession", new Failure(status.UNAVAILABLE));
  await assert.rejects(client.createPortalSession({ accountId: "acme" }), Unavailable);
  assert.equal(service.received.length, 1);
});

test("nothing but unavailability is worth another attempt", async () => {
  for (const code of [status.INTERNAL, status.RESOURCE_EXHAUSTED, status.ABORTED]) {
    service.answer("checkEntitlement", new Failure(code));
    await assert.rejects(client.checkEntitlement(CHECK));
  }
  assert.equal(service.received.length, 3);
});

test("nothing is repeated while most calls fail", async () => {
  const away = Array.from({ length: 400 }, () => new Failure(status.UNAVAILABLE));
  service.answer("checkEntitlement", ...away);
  const calls = Array.from({ length: 100 }, () =>
    client.checkEntitlement(CHECK, { timeoutMs: 20_000 }),
  );
  await Promise.allSettled(calls);

  // With as many attempts for each it would be 400.
  assert.ok(service.received.length < 200, String(service.received.length));
});

test("iterating goes through all pages, and fetches none before it is needed", async () => {
  const page = (id: string, nextPageToken: string) => ({
    subscriptions: [{ subscriptionId: id, items: [] }],
    nextPageToken,
  });
  service.answer("listSubscriptions", page("s1", "two"), page("s2", ""));

  const found = [];
  for await (const subscription of client.iterSubscriptions({ accountId: "acme" })) {
    if (found.length === 0) assert.equal(service.received.length, 1);
    found.push(subscription.subscriptionId);
  }

  assert.deepEqual(found, ["s1", "s2"]);
  assert.deepEqual(
    service.received.map((each) => each.request["pageToken"]),
    ["", "two"],
  );
});

test("readiness waits for a server, and not for ever", async () => {
  await client.waitForReady({ timeoutMs: 10_000 });
  const nobody = new BillingClient("127.0.0.1:1");
  await assert.rejects(nobody.waitForReady({ timeoutMs: 100 }), Unavailable);
  nobody.close();
});

test("a closed client says so, and ends the calls that still wait", async () => {
  service.answer("checkEntitlement", SILENCE);
  const call = client.checkEntitlement(CHECK, { timeoutMs: 60_000 });
  await eventually(() => service.received.length === 1);
  client.close();

  await assert.rejects(call, { message: "The client is closed." });
  await assert.rejects(client.checkEntitlement(CHECK), { message: "The client is closed." });
  await assert.rejects(client.waitForReady(), { message: "The client is closed." });
});
