/** Client and cache with the real service: purchase, cancellation, and the service's death. */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import {
  AlreadySubscribed,
  BillingClient,
  EntitlementCache,
  EntitlementReason,
  ErrorReason,
  InvalidRequest,
  NotFound,
  PaymentStatus,
  SessionStatus,
  SubscriptionStatus,
} from "../../src/index.js";
import { eventually } from "../waiting.js";
import { SERVICE, drain, emulator, kill, pay, start } from "./stack.js";

const API = { feature: "api_access" };
const lineItems = [{ price: "basic_monthly" }];
const returnUrl = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}";

const client = new BillingClient(SERVICE);
after(() => client.close());

async function buy(accountId: string): Promise<string> {
  const { sessionId } = await client.createCheckoutSession({ accountId, lineItems, returnUrl });
  await pay(sessionId);
  return sessionId;
}

async function portal(accountId: string): Promise<string> {
  const given = { accountId, returnUrl: "http://localhost:4242/account" };
  return (await client.createPortalSession(given)).sessionId;
}

function isFromMemory(cache: EntitlementCache, accountId: string, entitled: boolean): boolean {
  const decision = cache.peek(accountId, API);
  return decision.entitled === entitled && decision.source === "memory";
}

test("an account buys, is entitled everywhere, and cancels", async () => {
  const cache = await EntitlementCache.open(client, { accounts: ["buyer"] });
  await cache.waitUntilReady();
  assert.equal(await cache.check("buyer", API), false);

  const sessionId = await buy("buyer");
  const session = await client.getSessionStatus({ accountId: "buyer", sessionId });
  assert.equal(session.status, SessionStatus.COMPLETE);
  assert.equal(session.paymentStatus, PaymentStatus.PAID);
  const check = { accountId: "buyer", ...API, atLeastRevision: session.revision };
  const { entitlement } = await client.checkEntitlement(check);
  assert.equal(entitlement?.reason, EntitlementReason.ACTIVE);
  await eventually(() => isFromMemory(cache, "buyer", true));

  const found = [];
  for await (const each of client.iterSubscriptions({ accountId: "buyer" }))
    found.push(each.status);
  assert.deepEqual(found, [SubscriptionStatus.ACTIVE]);
  const { entitlements } = await client.listEntitlements({ accountId: "buyer" });
  assert.ok(entitlements.some(({ feature }) => feature === "api_access"));
  const checks = ["buyer", "nobody"].map((accountId) => ({ accountId, ...API }));
  const batch = await client.batchCheckEntitlements({ checks });
  assert.deepEqual(
    batch.entitlements.map(({ entitled }) => entitled),
    [true, false],
  );

  await emulator(`portal/${await portal("buyer")}/cancel`, { immediately: true });
  await eventually(() => isFromMemory(cache, "buyer", false));
  await cache.close();
});

test("errors of the real service are what their classes say", async () => {
  await assert.rejects(client.createPortalSession({ accountId: "stranger" }), NotFound);
  await assert.rejects(client.checkEntitlement({ accountId: "", ...API }), (error) => {
    assert.ok(error instanceof InvalidRequest);
    assert.equal(error.reason, ErrorReason.INVALID_REQUEST);
    assert.equal(error.fieldViolations[0]?.field, "account_id");
    return true;
  });
  await buy("twice");
  const again = client.createCheckoutSession({ accountId: "twice", lineItems, returnUrl });
  await assert.rejects(again, (error) => {
    assert.ok(error instanceof AlreadySubscribed);
    assert.match(error.metadata["subscription_id"] ?? "", /^sub_/);
    return true;
  });
});

test("what happens while the service is dead is heard afterwards", async () => {
  const cache = await EntitlementCache.open(client);
  await cache.waitUntilReady();
  await buy("survivor");
  // The check may ask too early; then the stream tells.
  await cache.check("survivor", API);
  await eventually(() => isFromMemory(cache, "survivor", true));
  const session = await portal("survivor");

  await kill();
  await emulator(`portal/${session}/cancel`, { immediately: true });
  await drain();
  assert.equal(cache.entitled("survivor", API), true, "memory bridges a short absence");
  await start();

  await eventually(() => isFromMemory(cache, "survivor", false));
  assert.equal(cache.state, "ready");
  await cache.close();
});
