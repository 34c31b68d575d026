"""The `paidup` command against the whole system."""

import asyncio
import json
import signal

import pytest

from clients.python.tests import command
from tests.service.shop import EMAIL, LONGEST_WAIT, RETURN_URL

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUCCESS_URL = "http://localhost:4242/thanks"


@pytest.fixture
def paidup(stack):
    async def run(*arguments: str) -> command.Ended:
        return await command.paidup(*arguments, address=stack.service.address)

    return run


@pytest.fixture
def answered(paidup):
    """Run a command that must succeed; give its one JSON object."""

    async def run(*arguments: str):
        ended = await paidup(*arguments, "--json")
        assert (ended.code, ended.err) == (0, "")
        return ended.json

    return run


async def test_an_account_buys_and_is_told_as_entitled(shop, paidup, answered, account):
    before = await paidup("check", account, "api_access")
    embedded = await answered("checkout", account, "basic_monthly", "--return-url", RETURN_URL)
    hosted = await answered(
        *["checkout", account, "basic_monthly", "--success-url", SUCCESS_URL, "--email", EMAIL]
    )
    await shop.pay(hosted["session_id"])
    status = await shop.status(hosted["session_id"])
    after = await paidup("check", account, "api_access", "--at-least-revision", status.revision)

    assert (before.code, before.out) == (
        1,
        f"{account}: api_access: not entitled (NO_SUBSCRIPTION)\n",
    )
    assert embedded["client_secret"].startswith(embedded["session_id"])
    assert hosted["url"].startswith("http")
    assert after.code == 0
    by = status.subscription_id
    assert after.out == f"{account}: api_access: entitled (ACTIVE) by {by}\n"


async def test_what_an_account_has_is_listed_and_explained(shop, paidup, answered, account):
    subscription_id = await shop.subscribe()

    listed = await answered("list", account, "--fresh")
    table = await paidup("list", account, "--fresh")
    subscriptions = await paidup("subscriptions", account, "--json")
    explained = await paidup("explain", account, "api_access")
    explained_json = await answered("explain", account, "api_access")
    by_product = await answered("check", account, "--product", "prod_basic")

    assert {each["feature"] or each["product_id"] for each in listed["entitlements"]} == {
        "api_access",
        "prod_basic",
    }
    assert all(subject in table.out for subject in ("subject", "api_access", "prod_basic"))
    assert [(each["subscription_id"], each["status"]) for each in subscriptions.lines] == [
        (subscription_id, "ACTIVE")
    ]
    first_line, *lines = explained.out.splitlines()
    assert first_line.startswith(f"{account}: api_access: entitled (ACTIVE)")
    assert f"  {explained_json['explanation'][0]}" in lines
    assert {"Subscriptions", "Grants", "Latest events"} <= set(lines)
    assert by_product["entitlement"]["entitled"] is True


async def test_a_portal_is_where_a_customer_is_sent(shop, paidup, answered, account):
    await shop.subscribe()

    told = await paidup("portal", account, "--flow", "payment-method-update")
    told_json = await answered("portal", account)
    stranger = await paidup("portal", f"{account}-stranger")

    assert told.out.startswith("http")
    assert told_json["url"].startswith("http")
    assert (stranger.code, stranger.out) == (2, "")
    assert stranger.err.startswith("paidup: NOT_FOUND CUSTOMER_NOT_FOUND: ")
    assert stranger.err.count("\n") == 1


async def test_a_feature_is_granted_and_revoked(paidup, answered, account):
    granted = await answered(
        "grant", account, "reports", "--note", "a favour", "--expires", "2099-12-31"
    )
    grant_id, at_least = granted["grant"]["grant_id"], granted["revision"]
    holding = await paidup("check", account, "reports", "--at-least-revision", at_least)
    listed = await paidup("grants", account)
    revoked = await answered("revoke", grant_id)
    ended = await paidup(
        "check", account, "reports", "--at-least-revision", revoked["revision"], "--json"
    )
    refused = await paidup("grant", account, "reports", "--note", "")

    assert (holding.code, holding.out) == (
        0,
        f"{account}: reports: entitled (GRANT) by {grant_id} until 2099-12-31 00:00:00 UTC\n",
    )
    assert all(word in listed.out for word in (grant_id, "reports", "a favour", "2099-12-31"))
    assert revoked["grant"]["revoke_time"] is not None
    assert (ended.code, ended.json["entitlement"]["entitled"]) == (1, False)
    assert refused.code == 2
    assert refused.err.startswith("paidup: INVALID_ARGUMENT INVALID_REQUEST: ")
    assert "note: " in refused.err


async def test_events_are_listed_and_replayed(shop, paidup, answered, settled, account):
    await shop.subscribe()
    await settled()

    listed = await paidup("events", "--account", account, "--json")
    two = await paidup("events", "--account", account, "--limit", "2", "--json")
    failed = await paidup("events", "--account", account, "--state", "failed")
    newest = listed.lines[0]
    replayed = await answered("replay", newest["event_id"])
    table = await paidup("replay", newest["event_id"])

    assert "customer.subscription.created" in {each["type"] for each in listed.lines}
    assert two.lines == listed.lines[:2]
    assert failed.out == "none\n"
    assert replayed["event"]["event_id"] == newest["event_id"]
    assert newest["event_id"] in table.out


async def test_an_account_is_linked_refreshed_and_erased(
    shop, paidup, answered, at_stripe, account
):
    customer = await at_stripe.v1.customers.create_async({"email": EMAIL})

    linked = await answered("link", account, customer.id)
    refreshed = await paidup("refresh", account)
    refreshed_json = await answered("refresh", account)
    taken = await paidup("link", f"{account}-other", customer.id)
    erased = await answered("erase", account, "--yes")

    assert linked["subscriptions"] == []
    assert refreshed.out == "As Stripe has it.\nnone\n"
    assert refreshed_json["drifted"] is False
    assert taken.code == 2
    assert taken.err.startswith("paidup: ALREADY_EXISTS CUSTOMER_LINKED: ")
    assert set(erased) == {"erased_events"}


async def test_changes_are_watched_as_they_happen(stack, administration, account):
    process = await command.start(
        "watch", account, "--json", env={"PAIDUP_ADDRESS": stack.service.address}
    )
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            present = json.loads(await process.stdout.readline())
            await administration.grant(account, "reports")
            changed = json.loads(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (present["kind"], present["account_id"], present["entitlements"]) == (
        "account",
        account,
        [],
    )
    assert [each["feature"] for each in changed["entitlements"]] == ["reports"]
    assert code == 130
