/** Errors by what the caller can do, and what they carry. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Metadata, status } from "@grpc/grpc-js";

import { readDetails } from "../src/error-details.js";
import {
  AlreadySubscribed,
  BillingClient,
  Conflict,
  DeadlineExceeded,
  ErrorReason,
  InvalidRequest,
  NotFound,
  PaidupError,
  PermissionDenied,
  ServiceFault,
  SubscriptionAmbiguous,
  Unauthenticated,
  Unavailable,
} from "../src/index.js";
import { badRequest, details, errorInfo, message, retryInfo } from "./details.js";
import { Failure, ScriptedService } from "./scripted-service.js";

let service: ScriptedService;
let client: BillingClient;

before(async () => {
  service = await ScriptedService.start();
  client = new BillingClient(service.address);
});

after(() => {
  client.close();
  service.stop();
});

/** Not repeated, so that one answer is enough. */
async function failWith(failure: Failure): Promise<PaidupError> {
  service.answer("createPortalSession", failure);
  try {
    await client.createPortalSession({ accountId: "acme" });
  } catch (error) {
    assert.ok(error instanceof PaidupError);
    return error;
  }
  throw new Error("It did not fail.");
}

const CLASSES: [keyof typeof status, typeof PaidupError][] = [
  ["INVALID_ARGUMENT", InvalidRequest],
  ["OUT_OF_RANGE", InvalidRequest],
  ["UNAUTHENTICATED", Unauthenticated],
  ["PERMISSION_DENIED", PermissionDenied],
  ["NOT_FOUND", NotFound],
  ["ALREADY_EXISTS", Conflict],
  ["FAILED_PRECONDITION", Conflict],
  ["UNAVAILABLE", Unavailable],
  ["RESOURCE_EXHAUSTED", Unavailable],
  ["ABORTED", Unavailable],
  ["CANCELLED", Unavailable],
  ["DEADLINE_EXCEEDED", DeadlineExceeded],
  ["INTERNAL", ServiceFault],
  ["UNKNOWN", ServiceFault],
  ["UNIMPLEMENTED", ServiceFault],
  ["DATA_LOSS", ServiceFault],
];

for (const [code, errorClass] of CLASSES) {
  test(`without a reason, ${code} is ${errorClass.name}`, async () => {
    const error = await failWith(new Failure(status[code]));
    assert.equal(error.constructor, errorClass);
    assert.equal(error.name, errorClass.name);
    assert.equal(error.code, status[code]);
    assert.equal(error.reason, ErrorReason.UNSPECIFIED);
  });
}

const REASONS: [string, typeof PaidupError][] = [
  ["ALREADY_SUBSCRIBED", AlreadySubscribed],
  ["SUBSCRIPTION_AMBIGUOUS", SubscriptionAmbiguous],
  ["STRIPE_MISCONFIGURED", ServiceFault],
  ["CUSTOMER_NOT_FOUND", Conflict],
];

for (const [reason, errorClass] of REASONS) {
  test(`the reason ${reason} is ${errorClass.name}`, async () => {
    const packed = details(errorInfo(`ERROR_REASON_${reason}`));
    const error = await failWith(new Failure(status.FAILED_PRECONDITION, "no", packed));
    assert.equal(error.constructor, errorClass);
    assert.equal(ErrorReason[error.reason], reason);
  });
}

test("an error carries all that the service told", async () => {
  const packed = details(
    errorInfo("ERROR_REASON_ALREADY_SUBSCRIBED", { subscription_id: "sub_1" }),
    badRequest({ "line_items[0].price": "Is held already." }),
    retryInfo(2, 500_000_000),
  );
  const error = await failWith(new Failure(status.FAILED_PRECONDITION, "Held.", packed));

  assert.ok(error instanceof AlreadySubscribed && error instanceof Conflict);
  assert.equal(error.message, "Held.");
  assert.equal(error.reasonName, "ERROR_REASON_ALREADY_SUBSCRIBED");
  assert.deepEqual(error.metadata, { subscription_id: "sub_1" });
  assert.deepEqual(error.fieldViolations, [
    { field: "line_items[0].price", description: "Is held already." },
  ]);
  assert.equal(error.retryDelayMs, 2500);
  assert.ok(error.cause instanceof Error);
});

test("an error without details has none, and is named for its code without a message", async () => {
  const error = await failWith(new Failure(status.NOT_FOUND, ""));

  assert.equal(error.message, "NOT_FOUND");
  assert.equal(error.reasonName, "");
  assert.deepEqual(error.metadata, {});
  assert.deepEqual(error.fieldViolations, []);
  assert.equal(error.retryDelayMs, undefined);
});

test("a reason newer than the client is kept by name", async () => {
  const packed = details(errorInfo("ERROR_REASON_OF_TOMORROW"));
  const error = await failWith(new Failure(status.NOT_FOUND, "no", packed));

  assert.ok(error instanceof NotFound);
  assert.equal(error.reason, ErrorReason.UNSPECIFIED);
  assert.equal(error.reasonName, "ERROR_REASON_OF_TOMORROW");
});

test("a reason of somebody else is not taken for ours", async () => {
  const packed = details(errorInfo("ERROR_REASON_ALREADY_SUBSCRIBED", {}, "proxy.example"));
  const error = await failWith(new Failure(status.FAILED_PRECONDITION, "no", packed));

  assert.equal(error.constructor, Conflict);
  assert.equal(error.reasonName, "");
});

test("no server is unavailable", async () => {
  const nobody = new BillingClient("127.0.0.1:1");
  await assert.rejects(nobody.createPortalSession({ accountId: "acme" }), Unavailable);
  nobody.close();
});

function read(packed: Buffer) {
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", packed);
  return readDetails(metadata);
}

test("no damage to the details makes reading them throw", () => {
  const whole = details(
    errorInfo("ERROR_REASON_OVERLOADED", { key: "value" }),
    badRequest({ field: "Wrong." }),
    retryInfo(1, 0),
  );
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] = 255 - (changed[at] ?? 0);
    assert.equal(typeof read(changed).reason, "string");
    assert.equal(typeof read(whole.subarray(0, at)).reason, "string");
  }
  assert.equal(read(whole).reason, "ERROR_REASON_OVERLOADED");
});

test("one malformed detail does not hide the others", () => {
  const malformed = message([1, "type.googleapis.com/google.rpc.ErrorInfo"], [2, "\x0a\x7f"]);
  const found = read(details([3, malformed], retryInfo(1, 0)));

  assert.equal(found.reason, "");
  assert.equal(found.retryDelayMs, 1000);
});

test("a delay is never negative", () => {
  assert.equal(read(details(retryInfo(-5, 0))).retryDelayMs, 0);
});
