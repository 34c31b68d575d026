"""What the `paidup` command prints: JSON, tables, and colours for those who want them."""

import asyncio
import os
import pty
import sys

import pytest

from clients.python.tests.command import END, ENTITLED, LONGEST_RUN, paidup
from clients.python.tests.scripted_service import ScriptedService
from paidup import (
    Event,
    Grant,
)
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb


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
    arguments = ["checkout", "acme", "pro_monthly", "--return-url", "https://shop.example/back"]

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
