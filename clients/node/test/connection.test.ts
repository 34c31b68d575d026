/** TLS, tokens, and where they may go. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ServerCredentials } from "@grpc/grpc-js";

import { Endpoint } from "../src/endpoint.js";
import { BillingClient, DeadlineExceeded, Unavailable } from "../src/index.js";
import { ScriptedService } from "./scripted-service.js";

const CHECK = { accountId: "acme", feature: "api_access" };
const WITHOUT_OPENSSL = spawnSync("openssl", ["version"]).error
  ? "OpenSSL's command line is not installed"
  : false;

const LOOPBACK = [
  "localhost:50051",
  "127.0.0.1:1",
  "dns:///localhost:1",
  "[::1]:1",
  "ipv4:127.0.0.1:1,127.0.0.2:1",
  "unix:/tmp/a.sock",
];
const ELSEWHERE = [
  "billing.internal:1",
  "10.0.0.1:1",
  "dns:///billing.internal:1",
  "dns://8.8.8.8/localhost:1",
  "127.0.0.1.example.com:1",
  "ipv4:127.0.0.1:1,10.0.0.1:1",
  "xds:///localhost",
  "",
];

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "paidup-"));
});
after(() => rmSync(folder, { recursive: true }));

for (const address of LOOPBACK) {
  test(`${address} is plaintext unless told otherwise`, () => {
    assert.equal(new Endpoint(address, {}).inPlaintext, true);
    assert.equal(new Endpoint(address, { plaintext: false }).inPlaintext, false);
  });
}

for (const address of ELSEWHERE) {
  test(`${address || "nowhere"} is guarded unless told otherwise`, () => {
    assert.equal(new Endpoint(address, {}).inPlaintext, false);
    assert.equal(new Endpoint(address, { token: "t" }).inPlaintext, false);
    assert.equal(new Endpoint(address, { plaintext: true }).inPlaintext, true);
  });
}

test("what contradicts itself is refused", () => {
  assert.throws(() => new Endpoint("a:1", { tls: {}, plaintext: true }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tls: { privateKey: Buffer.of() } }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tls: { certificateChain: Buffer.of() } }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tlsFiles: { ca: "a" }, plaintext: true }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tlsFiles: { ca: "a" }, tls: {} }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tlsFiles: { key: "a" } }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tlsFiles: { certificate: "a" } }), TypeError);
  assert.throws(() => new Endpoint("a:1", { tlsFiles: {} }), TypeError);
  assert.throws(() => new Endpoint("a:1", { token: "t", tokenFile: "a" }), TypeError);
});

test("a server without TLS gets no token unless plaintext was asked for", async () => {
  const service = await ScriptedService.start();
  // Leads here, but is no address of this machine alone.
  const address = service.address.replace("127.0.0.1", "0.0.0.0");
  const guarded = new BillingClient(address, { token: "t" });
  await assert.rejects(guarded.checkEntitlement(CHECK), Unavailable);
  assert.equal(service.received.length, 0);

  // As in a mesh, whose proxy encrypts.
  const inAMesh = new BillingClient(address, { token: "t", plaintext: true });
  await inAMesh.checkEntitlement(CHECK);
  assert.equal(service.received[0]?.metadata.get("authorization")[0], "Bearer t");
  for (const client of [guarded, inAMesh]) client.close();
  service.stop();
});

async function sentBy(token: string | (() => string | Promise<string>)): Promise<unknown[]> {
  const service = await ScriptedService.start();
  const client = new BillingClient(service.address, { token });
  try {
    await client.checkEntitlement(CHECK);
    return service.received.flatMap(({ metadata }) => metadata.get("authorization"));
  } finally {
    client.close();
    service.stop();
  }
}

test("each call sends the token of its moment", async () => {
  const file = join(folder, "token");
  writeFileSync(file, "first\n");
  const service = await ScriptedService.start();
  const client = new BillingClient(service.address, { token: () => readFile(file, "utf8") });
  await client.checkEntitlement(CHECK);
  writeFileSync(file, "second\n");
  await client.checkEntitlement(CHECK);
  client.close();
  service.stop();

  assert.deepEqual(
    service.received.flatMap(({ metadata }) => metadata.get("authorization")),
    ["Bearer first", "Bearer second"],
  );
  assert.deepEqual(await sentBy("fixed"), ["Bearer fixed"]);
});

test("a token that cannot be sent is refused without being shown", async () => {
  for (const token of ["", " \n", "a\nb", "schlüssel"]) {
    const shown = token.trim();
    await assert.rejects(sentBy(token), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.ok(shown === "" || !error.message.includes(shown));
      return true;
    });
  }
});

test("a token that never comes does not hold a call up", async () => {
  const service = await ScriptedService.start();
  const token = () => new Promise<string>(() => undefined);
  const client = new BillingClient(service.address, { token });
  await assert.rejects(client.checkEntitlement(CHECK, { timeoutMs: 50 }), DeadlineExceeded);
  client.close();
  service.stop();
});

test("what the token function throws reaches the caller", async () => {
  const token = () => Promise.reject(new Error("no file"));
  await assert.rejects(sentBy(token), { message: "no file" });
});

function certificate(name: string) {
  const [key, chain] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"];
  const files = ["-keyout", key, "-out", chain];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, ...files], { stdio: "ignore" });
  return { key: readFileSync(key), chain: readFileSync(chain) };
}

test("over TLS, both sides are known to each other", { skip: WITHOUT_OPENSSL }, async () => {
  const [server, caller, stranger] = ["server", "caller", "stranger"].map(certificate);
  assert.ok(server && caller && stranger);
  const pair = { private_key: server.key, cert_chain: server.chain };
  const guarded = ServerCredentials.createSsl(caller.chain, [pair], true);
  const service = await ScriptedService.start(guarded);
  const call = async (tls: object) => {
    const client = new BillingClient(service.address, { tls, token: "t" });
    try {
      await client.checkEntitlement(CHECK);
    } finally {
      client.close();
    }
  };
  const roots = { rootCertificates: server.chain };
  const mine = { privateKey: caller.key, certificateChain: caller.chain };

  await call({ ...roots, ...mine });
  assert.equal(service.received.length, 1);
  await assert.rejects(call({ ...mine, rootCertificates: stranger.chain }), Unavailable);
  await assert.rejects(call({ ...mine }), Unavailable);
  await assert.rejects(call(roots), Unavailable);
  assert.equal(service.received.length, 1);
  service.stop();
});

test("a proxy in the environment is not asked for the way to loopback", async () => {
  const before = process.env["grpc_proxy"];
  process.env["grpc_proxy"] = "http://127.0.0.1:1";
  try {
    assert.deepEqual(await sentBy("t"), ["Bearer t"]);
  } finally {
    if (before === undefined) delete process.env["grpc_proxy"];
    else process.env["grpc_proxy"] = before;
  }
});

test("the caller's channel options prevail, and responses may be large", async () => {
  const service = await ScriptedService.start();
  const large = { entitlement: { accountId: "a".repeat(5 * 1024 * 1024) } };
  service.answer("checkEntitlement", large, large);
  const usual = new BillingClient(service.address);
  const narrow = new BillingClient(service.address, {
    channelOptions: { "grpc.max_receive_message_length": 1024 },
  });

  const { entitlement } = await usual.checkEntitlement(CHECK);
  assert.equal(entitlement?.accountId.length, 5 * 1024 * 1024);
  await assert.rejects(narrow.checkEntitlement(CHECK), Unavailable);
  usual.close();
  narrow.close();
  service.stop();
});

test("calls go to all servers", async () => {
  const services = await Promise.all([ScriptedService.start(), ScriptedService.start()]);
  const client = new BillingClient(`ipv4:${services.map(({ address }) => address).join(",")}`);
  await client.waitForReady();
  const all = () => services.every(({ received }) => received.length > 0);
  for (let calls = 0; calls < 200 && !all(); calls++) await client.checkEntitlement(CHECK);

  assert.ok(all());
  client.close();
  for (const service of services) service.stop();
});
