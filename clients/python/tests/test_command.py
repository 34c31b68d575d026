"""The `paidup` command, as a real process: what it ends with, and what it says went wrong."""

import asyncio
import os
import signal
import sys

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from clients.python.tests.command import ENTITLED, LONGEST_RUN, Ended, paidup, start
from clients.python.tests.scripted_service import Failure, ScriptedService, Silence, running
from paidup import (
    Entitlement,
    Event,
)
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb

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


async def _received(service: ScriptedService, count: int) -> None:
    async with asyncio.timeout(LONGEST_RUN):
        while len(service.received) < count:
            await asyncio.sleep(0.01)


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
