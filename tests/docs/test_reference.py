"""Tables of the pages, held to the code that they describe."""

import re

import pytest
from prometheus_client import REGISTRY

from billing_service import doctor, errors, leaving, metrics
from paidup.v1.error_reason_pb2 import ErrorReason
from subscription_state import apply, otlp
from subscription_state.from_stripe import API_VERSION
from subscription_state.model import Status
from subscription_state.tables import metadata
from tests.docs.pages import ROOT, page
from webhook_gateway import server as gateway_server
from webhook_gateway.metrics import Metrics
from webhook_gateway.refusals import REFUSALS

PREFIX = "ERROR_REASON_"
_ROW = re.compile(r"^\| `([A-Z_]+)` \| *(?:`([A-Z_]+)`)? *\|", re.MULTILINE)

ERRORS = page("docs/errors.md")


def _rows(heading: str) -> dict[str, str]:
    return dict(_ROW.findall(ERRORS.section(heading)))


def _raised() -> dict[str, str]:
    """Give the code of each reason that the service has an error for."""
    found: dict[str, str] = {}
    classes = [errors.BillingError]
    while classes:
        each = classes.pop()
        classes += each.__subclasses__()
        if hasattr(each, "reason"):
            found[each.reason.removeprefix(PREFIX)] = each.code
    return found


def test_every_reason_of_the_contract_is_told() -> None:
    told = [*_rows("## Reasons"), *_rows("## Not sent")]

    assert sorted(told) == sorted(name.removeprefix(PREFIX) for name, _ in ErrorReason.items())


def test_what_the_service_raises_is_told_with_its_code() -> None:
    assert _rows("## Reasons") == _raised()


def test_every_refusal_of_the_gateway_is_told_with_its_status() -> None:
    table = ERRORS.section("## What the gateway answers")
    lines = [line for line in table.splitlines() if line.startswith("| ")]

    untold = [
        reason.value
        for reason, refusal in REFUSALS.items()
        if not any(f"`{reason.value}`" in line and str(refusal.status) in line for line in lines)
    ]

    assert untold == []


@pytest.mark.parametrize("where", ["service", "gateway"])
def test_every_metric_is_told_and_none_that_is_not_there(where: str) -> None:
    registry = REGISTRY if where == "service" else Metrics().registry
    assert metrics.READY is not None
    ours = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
        if family.name.startswith(("paidup_", "grpc_"))
    }

    text = page("docs/operations.md").section("## Metrics")
    table = text.partition(f"| of the {where} |")[2].split("\n\n")[0]

    assert set(re.findall(r"`((?:paidup|grpc)_\w+)`", table)) == ours


def test_the_endpoint_is_told_to_send_exactly_what_is_taken_in() -> None:
    named = re.findall(r"enabled_events\[\]=([\w.]+)", page("docs/go-live.md").text)

    assert named == sorted(apply.EVENT_TYPES)


def test_the_api_version_that_is_told_is_the_pinned_one() -> None:
    text = page("docs/go-live.md").text

    assert f"api_version={API_VERSION}" in text


def test_every_event_that_is_taken_in_is_in_the_table_of_what_events_do() -> None:
    table = page("docs/architecture.md").section("## The life of an event")
    cells = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    # `checkout.session.completed`, `.expired` and so on share their beginning.
    told = cells.replace("`.", "`checkout.session.")

    assert {type_ for type_ in apply._RULES if not _is_in(type_, told)} == set()


def _is_in(type_: str, told: str) -> bool:
    return f"`{type_}`" in told or f"`{type_.rpartition('.')[0]}.*`" in told


def test_every_status_of_stripes_is_in_the_table_of_decisions() -> None:
    table = page("docs/architecture.md").section("### Stripe says → entitled")

    known = {status.value for status in Status} - {Status.UNKNOWN.value}

    assert {status for status in known if f"`{status}`" not in table} == set()


def test_every_table_is_described() -> None:
    section = page("docs/architecture.md").section("## Tables")
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(metadata.tables)


@pytest.mark.parametrize("package", ["subscription_state", "billing_service", "webhook_gateway"])
def test_the_map_names_every_module_and_none_that_is_gone(package: str) -> None:
    table = (
        page("docs/architecture.md").section("## Where things are").partition(f"`{package}/`")[2]
    )
    told = set(re.findall(r"`(\w+\.py)`", table.split("\n\n")[0]))

    modules = {path.name for path in (ROOT / package).glob("*.py")}

    assert told == modules - {"__init__.py", "__main__.py"}


def test_the_threat_model_names_tests_that_are_there() -> None:
    table = page("docs/security.md").section("## Threats, and what meets them")
    rows = [line.split("|") for line in table.splitlines()[3:] if line.startswith("| ")]

    named = {path for row in rows for path in re.findall(r"`(tests/[\w/]+\.py)`", row[3])}

    assert [row[1] for row in rows if "`" not in row[3]] == []
    assert {path for path in named if not (ROOT / path).is_file()} == set()


def test_every_look_of_the_doctor_is_told() -> None:
    section = page("docs/operations.md").section("### Doctor")
    told = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]

    assert told[1:] == list(doctor.LOOKS)


def test_how_long_stopping_takes_is_told_as_it_is() -> None:
    table = page("docs/operations.md").section("## Stopping")
    of_gateway = gateway_server.DRAIN_TIMEOUT + gateway_server.CLOSING + otlp.CLOSE_TIMEOUT

    assert re.findall(r"`PAIDUP_DRAIN_SECONDS` \+ (\d+) \|", table) == [
        f"{leaving.longest(0):.0f}",
        f"{of_gateway:.0f}",
    ]
