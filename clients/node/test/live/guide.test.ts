/** Every step of docs/integrate-node.md: its application runs, and does what the page says. */

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually } from "../waiting.js";
import { SERVICE, emulator, pay } from "./stack.js";

const GUIDE = new URL("../../../../../docs/integrate-node.md", import.meta.url);
const FOLDER = new URL("../../guide/", import.meta.url);

let app: ChildProcess;
let site: string;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function call(path: string, method = "GET"): Promise<Response> {
  return fetch(site + path, { method, redirect: "manual", signal: AbortSignal.timeout(30_000) });
}

before(async () => {
  const blocks = readFileSync(GUIDE, "utf8").matchAll(/^```js\n(.*?)^```$/gms);
  const port = await freePort();
  site = `http://127.0.0.1:${port}`;
  const code = [...blocks].map(([, block]) => block).join("\n");
  const placed = code.replace("4243;", `${port};`).replace("127.0.0.1:50051", SERVICE);
  mkdirSync(FOLDER, { recursive: true });
  const file = fileURLToPath(new URL("app.mjs", FOLDER));
  // The page's account has lived through the demo; here it must be as new.
  writeFileSync(file, placed.replace('"acme"', '"reader"'));
  app = spawn(process.execPath, [file], { stdio: "inherit" });
  await eventually(async () => (await call("/").catch(() => undefined)) !== undefined);
});

after(async () => {
  app.kill("SIGTERM");
  if (app.exitCode === null) await once(app, "exit");
});

test("the application does what the guide says", async () => {
  const refused = await call("/reports");
  assert.equal(refused.status, 402);
  assert.equal(((await refused.json()) as { upgradeUrl: string }).upgradeUrl, "/");
  assert.equal((await call("/manage-billing", "POST")).status, 404);

  const created = await call("/create-checkout-session", "POST");
  const form = (await created.json()) as { clientSecret: string; publishableKey: string };
  assert.match(form.publishableKey, /^pk_test_/);
  const sessionId = form.clientSecret.split("_secret_")[0] ?? "";
  const back = `/return?session_id=${sessionId}`;
  assert.equal((await call(back)).headers.get("location"), "/");
  await pay(sessionId);
  assert.match(await (await call(back)).text(), /Thank you/);
  assert.equal((await call("/return?session_id=cs_test_stranger")).status, 404);

  await eventually(async () => (await call("/reports")).status === 200);
  const again = await call("/create-checkout-session", "POST");
  assert.match(((await again.json()) as { redirect: string }).redirect, /^http/);

  const portal = await call("/manage-billing", "POST");
  assert.equal(portal.status, 303);
  const session = new URL(portal.headers.get("location") ?? "").pathname.split("/").at(-1);
  await emulator(`portal/${session}/cancel`, { immediately: true });
  await eventually(async () => (await call("/reports")).status === 402);
});

test("the page that sells has a form that Stripe.js mounts", async () => {
  const page = await (await call("/")).text();
  assert.match(page, /create-checkout-session/);
  assert.match(page, /createEmbeddedCheckoutPage/);
});
