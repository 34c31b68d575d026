"""The client for Node: its own tests, the real service, and what is delivered."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from clients.python.tests.scripted_service import ScriptedService, running
from demo.stack import Addresses, Stack, settled
from paidup.v1.billing_service_pb2 import CreateCheckoutSessionResponse
from tests.node_packages import unavailable

FOLDER = Path(__file__).parents[2] / "clients" / "node"
SECONDS = 300

#: Compilers and installers are slow on a busy machine.
pytestmark = pytest.mark.timeout(2 * SECONDS)

#: What npm says where there is no registry to ask.
OFFLINE = re.compile(r"ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED|ENETUNREACH")


TYPED_USE = """
import { BillingClient, EntitlementCache, UiMode } from "paidup";
import type { CheckEntitlementResponse, Decision, Subscription } from "paidup";
import { AdminServiceService } from "paidup/v1/admin_service";

export async function use(client: BillingClient): Promise<void> {
  const given = { accountId: "acme", feature: "api_access" };
  const check: CheckEntitlementResponse = await client.checkEntitlement(given);
  const entitled: boolean = await client.entitled("acme", { productId: "p" }, { timeoutMs: 1 });
  for await (const each of client.iterSubscriptions({ accountId: "acme" })) {
    const subscription: Subscription = each;
    console.log(subscription, check, entitled, AdminServiceService.createGrant.path);
  }
  const lineItems = [{ price: "pro_monthly" }];
  await client.createCheckoutSession({ accountId: "acme", lineItems, uiMode: UiMode.HOSTED_PAGE });
  const cache = await EntitlementCache.open(client, { failOpen: false });
  const decision: Decision = cache.peek("acme", { feature: "api_access" });
  console.log(decision.entitled);
  // @ts-expect-error A check names one thing.
  await client.entitled("acme", {});
  // @ts-expect-error A check names one thing only.
  await client.entitled("acme", { feature: "a", productId: "b" });
  // @ts-expect-error Whose portal?
  await client.createPortalSession({});
  // @ts-expect-error There is no such field.
  await client.createPortalSession({ accountId: "acme", returnURL: "https://shop.example" });
}
"""


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    if reason := unavailable(FOLDER):
        pytest.skip(reason)


async def run(*command: str, cwd: Path = FOLDER, **settings: str) -> tuple[int, str]:
    """Run a program to its end; return its exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode()


async def npm(*arguments: str, cwd: Path = FOLDER, **settings: str) -> str:
    code, output = await run("npm", "--loglevel=error", *arguments, cwd=cwd, **settings)
    assert code == 0, output
    return output


async def test_the_client_passes_its_own_tests() -> None:
    output = await npm("test")

    assert re.search(r"^# fail 0$", output, re.MULTILINE), output


@asynccontextmanager
async def control(stack: Stack) -> AsyncIterator[str]:
    """Let a test in another language kill the service, and start it again."""

    async def kill(_request: web.Request) -> web.Response:
        await stack.service.kill()
        return web.Response()

    async def start(_request: web.Request) -> web.Response:
        stack.service = await stack.start_service()
        return web.Response()

    async with _serving({"/kill": kill, "/start": start}) as url:
        yield url


@asynccontextmanager
async def _serving(
    handlers: dict[str, Callable[[web.Request], Awaitable[web.Response]]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.post(path, handler) for path, handler in handlers.items()])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_the_client_and_its_guide_work_with_the_real_service(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    # A fixed address: the service must be found again after its death.
    addresses = Addresses(grpc=settled("127.0.0.1:0"))
    async with (
        Stack(database_url=url, addresses=addresses) as stack,
        control(stack) as control_url,
    ):
        output = await npm(
            "run",
            "test:live",
            PAIDUP_TEST_SERVICE=stack.service.address,
            PAIDUP_TEST_EMULATOR=stack.emulator.url,
            PAIDUP_TEST_CONTROL=control_url,
        )

    assert re.search(r"^# fail 0$", output, re.MULTILINE), output
    assert re.search(r"^# pass [1-9]", output, re.MULTILINE), output


@pytest.fixture(scope="module")
def delivered(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what is delivered into an empty folder, with what it needs to run alone."""
    folder = tmp_path_factory.mktemp("delivered")
    pack = ["npm", "pack", "--silent", "--json", "--pack-destination", str(folder)]
    packed = subprocess.run(pack, cwd=FOLDER, capture_output=True, check=True, timeout=SECONDS)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    install = ["npm", "install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [*install, f"./{json.loads(packed.stdout)[0]['filename']}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode and OFFLINE.search(done.stdout):
        pytest.skip("npm has no registry to install the client's dependencies from.")
    assert done.returncode == 0, done.stdout
    return folder


async def test_what_is_delivered_runs_the_readmes_first_example(delivered: Path) -> None:
    readme = (FOLDER / "README.md").read_text()
    example = re.findall(r"^```js\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[0]

    async with running(service_class=ScriptedService) as service:
        session = CreateCheckoutSessionResponse(url="https://checkout.example/cs_1")
        service.answer("CreateCheckoutSession", session)
        (delivered / "first.mjs").write_text(example.replace("localhost:50051", service.address))
        code, output = await run("node", "first.mjs", cwd=delivered)

    assert (code, output) == (0, "Subscribe at https://checkout.example/cs_1\n")
    assert [received.rpc for received in service.received] == [
        "CheckEntitlement",
        "CreateCheckoutSession",
    ]
    own = delivered / "node_modules" / "paidup"
    assert {path.name for path in own.iterdir()} == {"LICENSE", "README.md", "dist", "package.json"}
    assert not (delivered / "node_modules" / "express").exists()
    assert not (delivered / "node_modules" / "typescript").exists()


async def test_what_is_delivered_has_precise_types(delivered: Path) -> None:
    (delivered / "use.ts").write_text(TYPED_USE)
    modules = FOLDER / "node_modules"
    node_types = ["--types", "node", "--typeRoots", str(modules / "@types")]
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", *node_types]

    compiler = str(modules / ".bin" / "tsc")

    assert await run(compiler, *options, "use.ts", cwd=delivered) == (0, "")


def test_the_lock_and_the_package_are_as_the_project_wants_them() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    package = json.loads((FOLDER / "package.json").read_text())

    assert [name for name, entry in lock.items() if "resolved" in entry] == []
    assert [name for name, entry in lock.items() if name and "integrity" not in entry] == []
    assert set(package["dependencies"]) == {"@bufbuild/protobuf", "@grpc/grpc-js"}
    assert set(package["peerDependencies"]) == {"express"}
