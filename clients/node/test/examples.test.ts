/** What the pages show in JavaScript is JavaScript, and imports only what is there. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as express from "../src/express.js";
import * as paidup from "../src/index.js";

const PAGES = ["../../README.md", "../../../../docs/integrate-node.md"];
const FOLDER = new URL("../examples/", import.meta.url);
const EXPORTS = new Map<string, object>([
  ["paidup", paidup],
  ["paidup/express", express],
]);
const IMPORT = /^import \{([^}]*)\} from "(paidup[^"]*)";$/gm;

mkdirSync(FOLDER, { recursive: true });

for (const page of PAGES) {
  const text = readFileSync(new URL(page, import.meta.url), "utf8");
  const examples = [...text.matchAll(/^```(?:js|javascript)\n(.*?)^```$/gms)].map(
    ([, code]) => code ?? "",
  );

  test(`the examples of ${page} are JavaScript`, () => {
    assert.ok(examples.length >= 6);
    for (const [index, code] of examples.entries()) {
      const file = fileURLToPath(new URL(`${index}.mjs`, FOLDER));
      writeFileSync(file, code);
      const checked = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
      assert.equal(checked.status, 0, checked.stderr);
    }
  });

  test(`the examples of ${page} import what is there`, () => {
    const imports = [...examples.join("\n").matchAll(IMPORT)];
    assert.ok(imports.length > 0);
    for (const [, names = "", from = ""] of imports) {
      const there = EXPORTS.get(from) ?? {};
      for (const name of names.split(",").map((each) => each.trim())) {
        assert.ok(name === "" || name in there, `${name} of ${from}`);
      }
    }
  });
}

test("the public names are these", () => {
  assert.deepEqual(Object.keys(paidup).sort(), [
    "AlreadySubscribed",
    "BillingClient",
    "Conflict",
    "DeadlineExceeded",
    "EntitlementCache",
    "EntitlementReason",
    "ErrorReason",
    "InvalidRequest",
    "NotFound",
    "PaidupError",
    "PaymentStatus",
    "PermissionDenied",
    "PortalFlow",
    "ServiceFault",
    "SessionStatus",
    "StatusCode",
    "SubscriptionAmbiguous",
    "SubscriptionStatus",
    "UiMode",
    "Unauthenticated",
    "Unavailable",
  ]);
  assert.deepEqual(Object.keys(express), ["entitlementGuard"]);
});
