"""What is delivered: names, types, dependencies, files."""

import asyncio
import json
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

import paidup
from clients.python.tests.scripted_service import ScriptedService
from paidup.v1.billing_service_pb2 import CreateCheckoutSessionResponse

PROJECT = Path(__file__).parents[1]

THIRD_PARTY_OF_IMPORT = """
import json, sys
import grpc.aio  # loads what it finds of gRPC's other distributions
before = set(sys.modules)
import paidup
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
google = {name for name in sys.modules if name.startswith("google.")}
known = set(sys.stdlib_module_names) | set(sys.builtin_module_names) | {"paidup"}
print(json.dumps([sorted(loaded - known), sorted(google)]))
"""

FIRST_STEPS = """
import asyncio, paidup

paidup.BlockingBillingClient("localhost:50051").close()

async def main():
    async with paidup.BillingClient("localhost:50051"):
        print("ready")

asyncio.run(main())
"""

TYPED_USE = """
from typing import assert_type
from paidup import AdminClient, BillingClient, BlockingAdminClient, BlockingBillingClient
from paidup import Event, Grant, LineItem, Subscription, UiMode
from paidup.v1.admin_service_pb2 import ReplayEventResponse
from paidup.v1.billing_service_pb2 import CheckEntitlementResponse, CreateCheckoutSessionResponse

async def awaited(client: BillingClient) -> None:
    check = await client.check_entitlement(account_id="acme", feature="api_access")
    assert_type(check, CheckEntitlementResponse)
    assert_type(await client.entitled("acme", product_id="prod_1", timeout=1), bool)
    async for subscription in client.iter_subscriptions(account_id="acme"):
        assert_type(subscription, Subscription)

def blocking(client: BlockingBillingClient) -> None:
    check = client.check_entitlement(account_id="acme", feature="api_access")
    assert_type(check, CheckEntitlementResponse)
    assert_type(client.entitled("acme", product_id="prod_1", timeout=1), bool)
    for subscription in client.iter_subscriptions(account_id="acme"):
        assert_type(subscription, Subscription)
    session = client.create_checkout_session(
        account_id="acme",
        line_items=[LineItem(price="pro_monthly")],
        ui_mode=UiMode.UI_MODE_HOSTED_PAGE,
    )
    assert_type(session, CreateCheckoutSessionResponse)
    client.entitled("acme", feature=7)  # type: ignore[arg-type]
    client.entitled("acme", featur="api_access")  # type: ignore[call-arg]
    client.get_session_status("cs_1")  # type: ignore[call-arg]

async def administration(client: AdminClient) -> None:
    assert_type(await client.replay_event(event_id="evt_1"), ReplayEventResponse)
    async for event in client.iter_events():
        assert_type(event, Event)
    await client.create_grant(account_id="acme", feature="reports")  # type: ignore[call-arg]

def blocking_administration(client: BlockingAdminClient) -> None:
    for grant in client.iter_grants(account_id="acme"):
        assert_type(grant, Grant)
"""


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return run.stdout


def snippets(language: str) -> list[str]:
    readme = (PROJECT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def type_errors(directory: Path, *sources: str) -> str:
    for number, source in enumerate(sources):
        (directory / f"source_{number}.py").write_text(source)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "."],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


def test_all_is_exactly_what_may_be_imported() -> None:
    public = {
        name
        for name, value in vars(paidup).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert sorted(public) == paidup.__all__


def test_the_public_names_are_these() -> None:
    assert paidup.__all__ == [
        "AdminClient",
        "AlreadySubscribed",
        "AuditEntry",
        "BillingClient",
        "BlockingAdminClient",
        "BlockingBillingClient",
        "BlockingEntitlementCache",
        "CacheObserver",
        "CacheState",
        "Conflict",
        "CustomText",
        "DeadlineExceeded",
        "Decision",
        "Entitlement",
        "EntitlementCache",
        "EntitlementCheck",
        "EntitlementReason",
        "ErrorReason",
        "Event",
        "EventState",
        "FieldViolation",
        "Grant",
        "InvalidRequest",
        "LineItem",
        "NotFound",
        "PaidupError",
        "PaymentStatus",
        "PermissionDenied",
        "PortalFlow",
        "ServiceFault",
        "SessionStatus",
        "Source",
        "Subscription",
        "SubscriptionAmbiguous",
        "SubscriptionStatus",
        "Tls",
        "TlsFiles",
        "UiMode",
        "Unauthenticated",
        "Unavailable",
    ]


def test_importing_loads_grpc_and_protobuf_alone() -> None:
    third_party, google = json.loads(python(THIRD_PARTY_OF_IMPORT))

    assert set(third_party) <= {"grpc", "google"}
    assert all(name.startswith(("google.protobuf", "google._upb")) for name in google)


def test_callers_get_precise_types(tmp_path: Path) -> None:
    assert type_errors(tmp_path, TYPED_USE) == ""


def test_the_readmes_examples_are_well_typed(tmp_path: Path) -> None:
    # FastAPI is the callers' own, so whoever runs this may be without.
    has_fastapi = find_spec("fastapi") is not None
    examples = [each for each in snippets("python") if has_fastapi or "fastapi" not in each]

    assert examples
    assert type_errors(tmp_path, *examples) == ""


@pytest.mark.parametrize("example", snippets("python")[:2], ids=["asyncio", "blocking"])
async def test_the_readmes_first_examples_run(service: ScriptedService, example: str) -> None:
    session = CreateCheckoutSessionResponse(url="https://checkout.example/cs_1")
    service.answer("CreateCheckoutSession", session)

    code = example.replace("localhost:50051", service.address)
    output = await asyncio.to_thread(python, code)

    assert output == "Subscribe at https://checkout.example/cs_1\n"
    assert [received.rpc for received in service.received] == [
        "CheckEntitlement",
        "CreateCheckoutSession",
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = ["build", "--wheel", "--no-isolation", "--outdir", str(directory), str(PROJECT)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    [wheel] = directory.glob("*.whl")
    return wheel


def test_the_wheel_has_types_and_stubs_and_no_tests(wheel: Path) -> None:
    files = {file for file in ZipFile(wheel).namelist() if ".dist-info/" not in file}

    assert {"paidup/py.typed", "paidup/v1/billing_service_pb2.pyi"} <= files
    assert all(file.startswith("paidup/") for file in files)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment of its own."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> "Environment":
        venv.create(directory, symlinks=True)
        return cls(directory=directory)

    def program(self, name: str) -> str:
        return str(self.directory / "bin" / name)

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        pip = [sys.executable, "-m", "pip", "--python", self.program("python")]
        return subprocess.run(
            [*pip, "--disable-pip-version-check", *arguments],
            check=False,
            capture_output=True,
            text=True,
        )

    def install(self, *what: str) -> None:
        installed = self.pip("install", "--quiet", *what)
        if "NewConnectionError" in installed.stderr:
            pytest.skip("the package index is out of reach")
        assert installed.returncode == 0, installed.stderr

    def installed(self) -> set[str]:
        listed = json.loads(self.pip("list", "--format", "json").stdout)
        return {item["name"].replace("_", "-") for item in listed}

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program(program), *arguments], check=False, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the package and what it depends on, and nothing else."""
    environment = Environment.create(tmp_path_factory.mktemp("bare"))
    environment.install(str(wheel))
    return environment


def test_the_wheel_works_with_grpcio_and_protobuf_alone(bare: Environment) -> None:
    run = bare.run("python", "-I", "-W", "error", "-c", FIRST_STEPS)

    # grpcio needs the one that is left out.
    assert bare.installed() - {"typing-extensions"} == {"paidup", "grpcio", "protobuf"}
    assert (run.stdout, run.stderr) == ("ready\n", "")


async def test_the_readmes_first_example_runs_without_the_extra(
    bare: Environment, service: ScriptedService
) -> None:
    service.answer("CreateCheckoutSession", CreateCheckoutSessionResponse(url="https://pay"))
    code = snippets("python")[0].replace("localhost:50051", service.address)

    run = await asyncio.to_thread(bare.run, "python", "-I", "-W", "error", "-c", code)

    assert (run.stdout, run.stderr) == ("Subscribe at https://pay\n", "")


def test_without_the_extra_the_command_says_what_it_needs(bare: Environment) -> None:
    run = bare.run("paidup", "check", "acme", "api_access")

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "paidup: The command needs Typer and Rich: install paidup[cli] instead of paidup.\n"
    )


async def test_with_the_extra_the_command_runs(
    wheel: Path, tmp_path: Path, service: ScriptedService
) -> None:
    environment = Environment.create(tmp_path / "venv")
    await asyncio.to_thread(environment.install, f"{wheel}[cli]")

    told = ["check", "acme", "api_access", "--address", service.address]
    run = await asyncio.to_thread(environment.run, "paidup", *told)

    assert (run.returncode, run.stderr) == (1, "")
    assert [received.rpc for received in service.received] == ["CheckEntitlement"]
