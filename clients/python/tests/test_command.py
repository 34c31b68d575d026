"""The `paidup` command: what it sends, prints and ends with, as a real process."""

import asyncio
import os
import pty
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from clients.python.tests.certificates import make_certificate
from clients.python.tests.command import LONGEST_RUN, Ended, paidup, start
from clients.python.tests.scripted_service import Failure, ScriptedService, Silence, running
from paidup import (
    Entitlement,
    EntitlementReason,
    Event,
    EventState,
    Grant,
    LineItem,
    PortalFlow,
    UiMode,
)
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Consistency

END = datetime(2027, 1, 31, 12, tzinfo=UTC)
RETURN_URL = "https://shop.example/back?session_id={CHECKOUT_SESSION_ID}"
ENTITLED = pb.CheckEntitlementResponse(
    entitlement=Entitlement(
        account_id="acme",
        feature="api_access",
        entitled=True,
        reason=EntitlementReason.ENTITLEMENT_REASON_ACTIVE,
        subscription_id="sub_1",
        quantity=2,
        valid_until_time=END,
    ),
    revision="r7",
)

#: What each command sends. The arguments of the first column, the request.
SENT: list[tuple[list[str], str, Any]] = [
    (
        ["check", "acme", "api_access"],
        "CheckEntitlement",
        pb.CheckEntitlementRequest(account_id="acme", feature="api_access"),
    ),
    (
        ["check", "acme", "--product", "prod_1", "--at-least-revision", "r7"],
        "CheckEntitlement",
        pb.CheckEntitlementRequest(
            account_id="acme", product_id="prod_1", consistency=Consistency(at_least_revision="r7")
        ),
    ),
    (
        ["list", "acme", "--fresh"],
        "ListEntitlements",
        pb.ListEntitlementsRequest(
            account_id="acme", consistency=Consistency(fully_consistent=True)
        ),
    ),
    (
        ["explain", "acme", "--product", "prod_1"],
        "ExplainEntitlement",
        admin.ExplainEntitlementRequest(account_id="acme", product_id="prod_1"),
    ),
    (
        ["subscriptions", "acme"],
        "ListSubscriptions",
        pb.ListSubscriptionsRequest(account_id="acme"),
    ),
    (
        [
            *["checkout", "acme", "pro_monthly=3", "setup", "--return-url", RETURN_URL],
            *["--email", "ada@acme.example", "--trial-days", "14", "--promotion-codes"],
            *["--locale", "fr", "--metadata", "campaign=spring=2", "--additional"],
            *["--request-id", "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b"],
        ],
        "CreateCheckoutSession",
        pb.CreateCheckoutSessionRequest(
            account_id="acme",
            line_items=[LineItem(price="pro_monthly", quantity=3), LineItem(price="setup")],
            ui_mode=UiMode.UI_MODE_EMBEDDED_PAGE,
            return_url=RETURN_URL,
            customer_email="ada@acme.example",
            trial_period_days=14,
            allow_promotion_codes=True,
            locale="fr",
            metadata={"campaign": "spring=2"},
            allow_additional_subscription=True,
            request_id="3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b",
        ),
    ),
    (
        [
            *["portal", "acme", "--return-url", "https://shop.example", "--locale", "fr"],
            *["--flow", "subscription-cancel", "--subscription", "sub_1"],
        ],
        "CreatePortalSession",
        pb.CreatePortalSessionRequest(
            account_id="acme",
            return_url="https://shop.example",
            flow=PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
            subscription_id="sub_1",
            locale="fr",
        ),
    ),
    (
        [
            *["grant", "acme", "reports", "--note", "a favour", "--expires", "2027-01-31T12:00"],
            *["--request-id", "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b"],
        ],
        "CreateGrant",
        admin.CreateGrantRequest(
            account_id="acme",
            feature="reports",
            note="a favour",
            expire_time=END,
            request_id="3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b",
        ),
    ),
    (["revoke", "grant_1"], "RevokeGrant", admin.RevokeGrantRequest(grant_id="grant_1")),
    (["grants", "acme"], "ListGrants", admin.ListGrantsRequest(account_id="acme")),
    (
        ["events", "--account", "acme", "--state", "failed", "--limit", "7"],
        "ListEvents",
        admin.ListEventsRequest(
            account_id="acme", state=EventState.EVENT_STATE_FAILED, page_size=7
        ),
    ),
    (["replay", "evt_1"], "ReplayEvent", admin.ReplayEventRequest(event_id="evt_1")),
    (["refresh", "acme"], "RefreshAccount", admin.RefreshAccountRequest(account_id="acme")),
    (
        ["link", "acme", "cus_1"],
        "LinkCustomer",
        admin.LinkCustomerRequest(account_id="acme", customer_id="cus_1"),
    ),
    (["erase", "acme", "--yes"], "EraseAccount", admin.EraseAccountRequest(account_id="acme")),
    (
        ["audit", "--account", "acme", "--caller", "desk", "--method", "CreateGrant"],
        "ListAuditEntries",
        admin.ListAuditEntriesRequest(
            account_id="acme", caller="desk", method="CreateGrant", page_size=50
        ),
    ),
]

INVALID = Failure(
    code=grpc.StatusCode.INVALID_ARGUMENT,
    message="A field breaks\nits rule.\x1b[31m",
    details=[
        ErrorInfo(
            reason="ERROR_REASON_INVALID_REQUEST", domain="paidup.dev", metadata={"field": "note"}
        ),
        BadRequest(
            field_violations=[BadRequest.FieldViolation(field="note", description="Is required.")]
        ),
        RetryInfo(retry_delay=Duration(seconds=2)),
    ],
)


@pytest.mark.parametrize(
    ("arguments", "rpc", "request_sent"), SENT, ids=lambda each: str(each)[:40]
)
async def test_options_arrive_as_the_fields_of_the_request(
    service: ScriptedService, arguments: list[str], rpc: str, request_sent: Any
) -> None:
    ended = await paidup(*arguments, "--json", address=service.address)

    [received] = service.received
    assert (received.rpc, received.request) == (rpc, request_sent)
    assert ended.err == ""
    # An empty answer entitles nobody.
    assert ended.code == (1 if arguments[0] == "check" else 0)


async def test_a_check_ends_with_0_and_tells_why(service: ScriptedService) -> None:
    service.answer("CheckEntitlement", ENTITLED, ENTITLED)

    told = await paidup("check", "acme", "api_access", address=service.address)
    told_json = await paidup("check", "acme", "api_access", "--json", address=service.address)

    line = "acme: api_access: entitled (ACTIVE) by sub_1 until 2027-01-31 12:00:00 UTC\n"
    assert (told.code, told.out, told.err) == (0, line, "")
    assert (told_json.code, told_json.err) == (0, "")
    assert told_json.json == {
        "entitlement": {
            "account_id": "acme",
            "feature": "api_access",
            "product_id": None,
            "entitled": True,
            "reason": "ACTIVE",
            "subscription_id": "sub_1",
            "grant_id": "",
            "subscription_status": "UNSPECIFIED",
            "quantity": 2,
            "valid_until_time": "2027-01-31T12:00:00Z",
        },
        "revision": "r7",
    }


@pytest.mark.parametrize("form", [[], ["--json"]])
async def test_a_check_ends_with_1_where_the_account_is_not_entitled(
    service: ScriptedService, form: list[str]
) -> None:
    refused = Entitlement(account_id="acme", feature="api_access", reason=99)  # type: ignore[arg-type]
    service.answer("CheckEntitlement", pb.CheckEntitlementResponse(entitlement=refused))

    ended = await paidup("check", "acme", "api_access", *form, address=service.address)

    assert (ended.code, ended.err) == (1, "")
    if form:
        assert ended.json["entitlement"]["reason"] == "UNKNOWN_99"
    else:
        assert ended.out == "acme: api_access: not entitled (UNKNOWN_99)\n"


async def test_an_error_is_one_line_with_all_that_the_service_said(
    service: ScriptedService,
) -> None:
    service.answer("CheckEntitlement", INVALID, INVALID)

    told = await paidup("check", "acme", "api_access", address=service.address)
    told_json = await paidup("check", "acme", "api_access", "--json", address=service.address)

    assert (told.code, told.out) == (2, "")
    assert told.err == (
        "paidup: INVALID_ARGUMENT INVALID_REQUEST: A field breaks\\nits rule.\\x1b[31m "
        "(note: Is required.; field=note; retry after 2 s)\n"
    )
    assert (told_json.code, told_json.out) == (2, "")
    assert Ended(code=2, out=told_json.err, err="").json == {
        "error": {
            "code": "INVALID_ARGUMENT",
            "reason": "INVALID_REQUEST",
            "message": "A field breaks\nits rule.\x1b[31m",
            "metadata": {"field": "note"},
            "field_violations": [{"field": "note", "description": "Is required."}],
            "retry_delay_seconds": 2.0,
        }
    }


async def test_a_service_that_is_down_is_an_error_and_not_a_no(unused_address: str) -> None:
    for command in (["check", "acme", "api_access"], ["events"], ["watch", "acme"]):
        ended = await paidup(*command, address=unused_address)

        assert (ended.code, ended.out) == (2, "")
        [line] = ended.err.splitlines()
        assert line.startswith("paidup: UNAVAILABLE: ")


@pytest.fixture
async def unused_address() -> str:
    async with running() as gone:
        return gone.address


async def test_a_service_that_does_not_answer_is_given_up_in_time(
    service: ScriptedService,
) -> None:
    service.answer("CheckEntitlement", Silence())

    ended = await paidup(
        "check", "acme", "api_access", "--timeout", "0.5", "--json", address=service.address
    )

    assert ended.code == 2
    assert '"DEADLINE_EXCEEDED"' in ended.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing command."),
        (["chekc"], "No such command 'chekc'"),
        (["check"], "Missing argument"),
        (["check", "acme"], "Name either a FEATURE or a --product."),
        (["check", "acme", "api_access", "--product", "prod_1"], "Name either"),
        (["check", "acme", "x", "--fresh", "--at-least-revision", "r7"], "Ask for either"),
        (["check", "acme", "api_access", "--token", "secret"], "No such option: --token"),
        (["check", "acme", "api_access", "--timeout", "soon"], "Invalid value for '--timeout'"),
        (["check", "acme", "api_access", "--timeout", "-1"], "positive number of seconds"),
        (["grant", "acme", "reports"], "Missing option '--note'"),
        (["grant", "acme", "x", "--note", "y", "--expires", "soon"], "no date or time"),
        (["events", "--state", "lost"], "'pending', 'applied', 'skipped', 'failed'"),
        (["events", "--limit", "-1"], "Invalid value for '--limit'"),
        (["checkout", "acme", "pro"], "either a --success-url or a --return-url"),
        (
            ["checkout", "acme", "pro", "--success-url", "https://x", "--metadata", "key"],
            "no KEY=VALUE",
        ),
        (["check", "acme", "x", "--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem: No such file"),
        (["check", "acme", "x", "--token-file", "/nowhere/token"], "/nowhere/token: No such file"),
        (["check", "acme", "x", "--token-file", "/dev/zero"], "too long"),
        (["check", "acme", "x", "--key", "/dev/null"], "need each other"),
        (["check", "acme", "x", "--plaintext", "--ca", "/dev/null"], "exclude each other"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
async def test_a_mistake_in_the_arguments_is_told_in_a_line_and_nothing_is_sent(
    service: ScriptedService, arguments: list[str], told: str
) -> None:
    ended = await paidup(*arguments, address=service.address)

    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith("paidup: ")
    assert told in line
    assert service.received == []


@pytest.mark.parametrize("command", sorted({"watch", *(arguments[0] for arguments, _, _ in SENT)}))
async def test_every_command_tells_its_options_and_how_it_ends(command: str) -> None:
    ended = await paidup(command, "--help", env={"COLUMNS": "200"})

    assert ended.code == 0
    assert "--json" in ended.out
    assert "--address" in ended.out
    codes = "with 1 if not, and with 2" if command == "check" else "Ends with 0, or with 2"
    assert codes in ended.out


async def test_lists_are_a_line_of_json_each_over_all_pages(service: ScriptedService) -> None:
    service.answer(
        "ListGrants",
        admin.ListGrantsResponse(
            grants=[Grant(grant_id="grant_2", expire_time=END)], next_page_token="second"
        ),
        admin.ListGrantsResponse(grants=[Grant(grant_id="grant_1")]),
    )

    ended = await paidup("grants", "acme", "--json", address=service.address)

    assert [(line["grant_id"], line["expire_time"]) for line in ended.lines] == [
        ("grant_2", "2027-01-31T12:00:00Z"),
        ("grant_1", None),
    ]


@pytest.mark.parametrize(("limit", "listed"), [("3", 3), ("0", 4)])
async def test_events_are_listed_up_to_a_limit(
    service: ScriptedService, limit: str, listed: int
) -> None:
    service.answer(
        "ListEvents",
        admin.ListEventsResponse(events=[Event(), Event()], next_page_token="second"),
        admin.ListEventsResponse(events=[Event(), Event()]),
    )

    ended = await paidup("events", "--limit", limit, "--json", address=service.address)

    assert len(ended.lines) == listed


async def test_what_was_changed_is_told_by_name(service: ScriptedService) -> None:
    facts = {"session_id": "cs_1", "customer_id": "cus_1"}
    entry = admin.AuditEntry(
        entry_id="audit_1", caller="desk", method="CreateGrant", account_id="acme", facts=facts
    )
    page = admin.ListAuditEntriesResponse(entries=[entry])
    service.answer("ListAuditEntries", page, page)

    told = await paidup("audit", address=service.address)
    told_json = await paidup("audit", "--json", address=service.address)

    header, _, row = told.out.splitlines()
    assert header.split() == ["when", "who", "method", "account", "what", "request"]
    assert "customer_id cus_1, session_id cs_1" in row
    assert [each["facts"] for each in told_json.lines] == [facts]


async def test_a_table_is_whole_where_no_terminal_limits_it(service: ScriptedService) -> None:
    long = "x" * 300
    service.answer(
        "ListGrants",
        admin.ListGrantsResponse(grants=[Grant(grant_id="grant_1", note=f"{long}\n\x1b[2J[red]")]),
    )

    ended = await paidup("grants", "acme", address=service.address)

    header, rule, row = ended.out.splitlines()
    assert header.split() == ["grant", "feature", "given", "by", "expires", "revoked", "note"]
    assert set(rule) == {"─"}
    assert row.endswith(f"{long}\\n\\x1b[2J[red]")


async def test_an_empty_list_says_so(service: ScriptedService) -> None:
    told = await paidup("subscriptions", "acme", address=service.address)
    told_json = await paidup("subscriptions", "acme", "--json", address=service.address)

    assert (told.code, told.out) == (0, "none\n")
    assert (told_json.code, told_json.out) == (0, "")


CHECKOUT = pb.CreateCheckoutSessionResponse(
    session_id="cs_1", client_secret="cs_1_secret_x", publishable_key="pk_1", customer_id="cus_1"
)


async def test_a_client_secret_is_printed_as_json_alone(service: ScriptedService) -> None:
    service.answer("CreateCheckoutSession", CHECKOUT, CHECKOUT)
    arguments = ["checkout", "acme", "pro_monthly", "--return-url", RETURN_URL]

    told = await paidup(*arguments, address=service.address)
    told_json = await paidup(*arguments, "--json", address=service.address)

    assert (told.code, told_json.code) == (0, 0)
    assert "cs_1" in told.out
    assert "_secret_" not in told.out + told.err + told_json.err
    assert told_json.json["client_secret"] == "cs_1_secret_x"


@pytest.mark.parametrize(("answer", "erased"), [("y\n", True), ("n\n", False), ("", False)])
async def test_erasing_asks_first(service: ScriptedService, answer: str, erased: bool) -> None:  # noqa: FBT001
    service.answer("EraseAccount", admin.EraseAccountResponse(erased_events=3))

    ended = await paidup("erase", "acme", "--json", address=service.address, answer=answer)

    assert "Erase what is held about acme?" in ended.err
    assert ended.code == (0 if erased else 2)
    assert ended.out == ('{"erased_events": 3}\n' if erased else "")
    assert len(service.received) == erased
    assert ended.err.endswith("\npaidup: Nothing was erased.\n") is not erased


async def test_a_token_comes_from_a_file_or_a_variable(
    service: ScriptedService, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")

    for env in (
        {"PAIDUP_TOKEN": "from-variable"},
        {"PAIDUP_TOKEN_FILE": str(file), "PAIDUP_TOKEN": "from-variable"},
        {"PAIDUP_TOKEN": ""},
    ):
        await paidup("check", "acme", "api_access", address=service.address, env=env)

    sent = [received.metadata.get("authorization") for received in service.received]
    assert sent == ["Bearer from-variable", "Bearer from-file", None]


class Rotating(ScriptedService):
    """Whatever it answers, the caller's token has been rotated before."""

    file: Path

    async def serve(self, *of_call: Any) -> Any:
        self.file.write_text("second\n")
        return await super().serve(*of_call)


async def test_a_token_file_is_read_anew_before_every_call(tmp_path: Path) -> None:
    page = admin.ListEventsResponse(events=[Event()], next_page_token="next")
    async with running(service_class=Rotating) as service:
        service.file = tmp_path / "token"
        service.file.write_text("first\n")
        service.answer("ListEvents", page)
        env = {"PAIDUP_TOKEN_FILE": str(service.file)}
        ended = await paidup("events", address=service.address, env=env)

    assert ended.code == 0
    sent = [received.metadata["authorization"] for received in service.received]
    assert sent == ["Bearer first", "Bearer second"]


async def _received(service: ScriptedService, count: int) -> None:
    async with asyncio.timeout(LONGEST_RUN):
        while len(service.received) < count:
            await asyncio.sleep(0.01)


async def test_a_token_leaves_the_machine_in_plaintext_only_if_told_so(
    service: ScriptedService,
) -> None:
    # Leads here, but is no address of this machine alone.
    address = service.address.replace("127.0.0.1", "0.0.0.0")
    env = {"PAIDUP_TOKEN": "s3cret", "PAIDUP_TIMEOUT": "5"}

    guarded = await paidup("events", address=address, env=env)
    assert (guarded.code, service.received) == (2, [])
    assert "s3cret" not in guarded.err

    in_a_mesh = await paidup("events", "--plaintext", address=address, env=env)
    assert (in_a_mesh.code, in_a_mesh.err) == (0, "")
    assert service.received[0].metadata["authorization"] == "Bearer s3cret"


async def test_tls_is_by_flags_or_variables(tmp_path: Path) -> None:
    server, caller = (make_certificate(tmp_path, name) for name in ("billing", "operator"))
    credentials = grpc.ssl_server_credentials(
        [(server.key, server.certificate)], caller.certificate, require_client_auth=True
    )
    files = {"PAIDUP_TLS_CA": "billing.pem", "PAIDUP_TLS_CERT": "operator.pem"}
    env = {name: str(tmp_path / file) for name, file in files.items()}
    async with running(credentials) as service:
        service.answer("CheckEntitlement", ENTITLED)
        key = str(tmp_path / "operator.key")
        whole = await paidup(
            "check", "acme", "api_access", "--key", key, address=service.address, env=env
        )
        stranger = await paidup(
            "check", "acme", "x", "--tls", address=service.address, env={"PAIDUP_TIMEOUT": "5"}
        )

    assert (whole.code, whole.err) == (0, "")
    assert stranger.code == 2
    [line] = stranger.err.splitlines()
    assert line.startswith("paidup: UNAVAILABLE")


async def test_ctrl_c_ends_with_130_and_says_nothing(service: ScriptedService) -> None:
    service.answer("CheckEntitlement", Silence())
    process = await start(
        *["check", "acme", "api_access", "--timeout", "60"], env={"PAIDUP_ADDRESS": service.address}
    )
    await _received(service, 1)

    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(LONGEST_RUN):
        out, err = await process.communicate()

    assert (process.returncode, out, err) == (130, b"", b"")


async def test_a_pipe_that_nobody_reads_any_longer_ends_it_quietly(
    service: ScriptedService,
) -> None:
    many = [Event(event_id=f"evt_{number}" * 50) for number in range(1000)]
    service.answer("ListEvents", admin.ListEventsResponse(events=many))
    arguments = ["events", "--json", "--limit", "0", "--address", service.address]
    ours, its = os.pipe()
    process = await start(*arguments, stdout=its)
    os.close(its)
    assert process.stderr is not None

    await asyncio.to_thread(os.read, ours, 100)
    os.close(ours)
    async with asyncio.timeout(LONGEST_RUN):
        err = await process.stderr.read()
        code = await process.wait()

    assert (code, err) == (141, b"")


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
async def test_colours_are_for_terminals_whose_owner_wants_them(
    service: ScriptedService,
    env: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    explained = admin.ExplainEntitlementResponse(entitlement=ENTITLED.entitlement)
    service.answer("ExplainEntitlement", explained)

    shown = await _on_terminal("explain", "acme", "api_access", address=service.address, env=env)

    # Neither colour nor bold type.
    assert ("\x1b[" in shown) is coloured
    assert "entitled" in shown
    assert "Subscriptions" in shown


async def test_there_is_no_colour_without_a_terminal(service: ScriptedService) -> None:
    service.answer("CheckEntitlement", ENTITLED)
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}

    ended = await paidup("check", "acme", "api_access", address=service.address, env=env)

    assert "\x1b" not in ended.out


async def _on_terminal(*arguments: str, address: str, env: dict[str, str]) -> str:
    """Give what the command writes to a terminal."""
    ours, its = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "paidup", *arguments],
        env={
            **{key: value for key, value in os.environ.items() if key != "NO_COLOR"},
            "PAIDUP_ADDRESS": address,
            "TERM": "xterm-256color",
            **env,
        },
        stdout=its,
    )
    os.close(its)
    async with asyncio.timeout(LONGEST_RUN):
        await process.wait()
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    return shown


async def test_completion_is_for_the_shells_that_typer_knows() -> None:
    ended = await paidup(
        env={"_PAIDUP_COMPLETE": "complete_bash", "COMP_WORDS": "paidup subscr", "COMP_CWORD": "1"}
    )

    assert (ended.code, ended.out.split()) == (0, ["subscriptions"])


@pytest.mark.parametrize("stdout", [">/dev/full", ">&-"])
async def test_an_answer_that_cannot_be_written_is_an_error_and_not_a_no(
    service: ScriptedService, stdout: str
) -> None:
    service.answer("CheckEntitlement", ENTITLED)
    process = await asyncio.create_subprocess_exec(
        *["sh", "-c", f'exec "$0" -m paidup check acme api_access {stdout}', sys.executable],
        env={**os.environ, "PAIDUP_ADDRESS": service.address},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LONGEST_RUN):
        _, err = await process.communicate()

    assert process.returncode == 2
    assert err
