/** The middleware, in an application of Express that is called over HTTP. */

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";

import { status } from "@grpc/grpc-js";
import express, { type NextFunction, type Request, type Response } from "express";

import { EntitlementCache } from "../src/cache.js";
import type { Subject } from "../src/decision.js";
import { entitlementGuard, type GuardOptions } from "../src/express.js";
import { details, errorInfo } from "./details.js";
import { Failure, ScriptedService } from "./scripted-service.js";
import { HASTE, entitlement } from "./scripted-time.js";

const ACCOUNTS: Record<string, string> = { paying: "acme", other: "globex", wrong: "?" };

let service: ScriptedService;
let cache: EntitlementCache;

beforeEach(async () => {
  service = await ScriptedService.start();
  const packed = details(errorInfo("ERROR_REASON_INVALID_REQUEST"));
  service.lists.set("acme", [entitlement({ feature: "reports" }, "acme")]);
  service.lists.set("?", new Failure(status.INVALID_ARGUMENT, "no", packed));
  cache = await EntitlementCache.open(service.address, { pace: HASTE });
});

afterEach(async () => {
  await cache.close();
  service.stop();
});

/** Ask for what is guarded; the login of this test is a path. */
async function ask(login: string, options: Partial<GuardOptions> = {}) {
  const app = express();
  let served = 0;
  const guard = entitlementGuard(cache, {
    account: (request) => ACCOUNTS[String(request.params["login"])],
    ...options,
  });
  app.get("/:login", guard({ feature: "reports" }), (_request, response) => {
    served += 1;
    response.json(response.locals["entitlement"]);
  });
  // Express knows who handles errors by the number of parameters.
  app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
    response.status(500).json({ error: error.name });
  });
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/${login}`, { redirect: "manual" });
  const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  server.close();
  return { status: answer.status, headers: answer.headers, body, served };
}

test("a request that is paid for is answered, and knows the decision", async () => {
  const { status, body } = await ask("paying");

  assert.equal(status, 200);
  assert.equal(body["entitled"], true);
});

test("a request that is not paid for is refused, with the place to pay", async () => {
  const answer = await ask("other", { upgradeUrl: "/pricing?plan=<premium>" });

  assert.equal(answer.status, 402);
  assert.equal(answer.served, 0);
  assert.deepEqual(answer.body, {
    error: "payment_required",
    message: "This needs reports.",
    feature: "reports",
    upgradeUrl: "/pricing?plan=<premium>",
  });
  assert.equal(answer.headers.get("link"), '</pricing?plan=%3Cpremium%3E>; rel="payment"');
  assert.equal(answer.headers.get("cache-control"), "no-store");
});

test("the place to pay may depend on the request, or be absent", async () => {
  const upgradeUrl: GuardOptions["upgradeUrl"] = (request, decision) =>
    `/buy/${decision.feature ?? ""}?from=${encodeURIComponent(request.path)}`;
  assert.equal(
    (await ask("other", { upgradeUrl })).body["upgradeUrl"],
    "/buy/reports?from=%2Fother",
  );
  assert.equal((await ask("other")).headers.get("link"), null);
});

test("an application may answer in its own way", async () => {
  const answer = await ask("other", {
    onRefused: (_request, response) => response.redirect("/pricing"),
  });

  assert.equal(answer.status, 302);
  assert.equal(answer.served, 0);
});

test("a stranger is refused", async () => {
  const { status, served } = await ask("stranger");
  assert.deepEqual([status, served], [401, 0]);
});

test("whatever fails lets nobody through", async () => {
  const fails = () => {
    throw new Error("no session");
  };
  const late = () => Promise.reject(new Error("no session"));
  for (const answer of [
    await ask("paying", { account: fails }),
    await ask("paying", { account: late }),
    await ask("other", { upgradeUrl: fails }),
    await ask("other", { onRefused: late }),
    await ask("wrong"),
  ]) {
    assert.deepEqual([answer.status, answer.served], [500, 0]);
  }
});

test("a guard that names nothing is a mistake at the start", () => {
  const guard = entitlementGuard(cache, { account: () => "acme" });
  assert.throws(() => guard({} as Subject), TypeError);
});
