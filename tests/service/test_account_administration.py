"""Accounts are read again, tied to customers and erased, each by one call."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from grpc import StatusCode

import paidup
from paidup.v1 import error_reason_pb2 as reasons
from paidup.v1 import subscription_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_refresh_finds_what_no_event_told(shop, administration, settled, faults, at_stripe):
    subscription_id = await shop.subscribe()
    await settled()
    await faults({"webhooks": {"blocked": True}})
    await at_stripe.v1.subscriptions.cancel_async(subscription_id)

    refreshed = await administration.refresh_account(shop.account)
    again = await administration.refresh_account(shop.account)
    check = await shop.check(at_least_revision=refreshed.revision)

    (subscription,) = refreshed.subscriptions
    assert subscription.subscription_id == subscription_id
    assert subscription.status == subscription_pb2.SUBSCRIPTION_STATUS_CANCELED
    assert (refreshed.drifted, again.drifted) == (True, False)
    assert not check.entitled


async def test_an_account_whose_customer_was_deleted_cannot_be_refreshed(
    shop, administration, account, stack, at_stripe
):
    await shop.subscribe()
    bought = await shop.client.list_subscriptions(account_id=account)
    await at_stripe.v1.customers.delete_async(bought.subscriptions[0].customer_id)
    await stack.emulator.drain()

    with pytest.raises(paidup.NotFound) as refused:
        await administration.refresh_account(account)

    assert refused.value.reason == reasons.ERROR_REASON_CUSTOMER_NOT_FOUND


async def test_a_refresh_finds_that_the_customer_was_deleted(
    shop, administration, settled, faults, at_stripe
):
    await shop.subscribe()
    await settled()
    bought = await shop.client.list_subscriptions(account_id=shop.account)
    await faults({"webhooks": {"blocked": True}})
    await at_stripe.v1.customers.delete_async(bought.subscriptions[0].customer_id)

    refreshed = await administration.refresh_account(shop.account)

    assert refreshed.drifted
    check = await shop.check(at_least_revision=refreshed.revision)
    assert not check.entitled
    with pytest.raises(paidup.NotFound):
        await administration.refresh_account(shop.account)


async def test_an_account_without_a_customer_cannot_be_refreshed(administration):
    with pytest.raises(paidup.NotFound) as refused:
        await administration.refresh_account("nobody")

    assert refused.value.code is StatusCode.NOT_FOUND
    assert refused.value.reason == reasons.ERROR_REASON_CUSTOMER_NOT_FOUND
    assert refused.value.metadata == {"account_id": "nobody"}


@pytest.fixture
def a_customer(at_stripe):
    """Make a customer at Stripe that has a trial of the basic plan."""

    async def make(**params) -> str:
        customer = await at_stripe.v1.customers.create_async(params)
        prices = await at_stripe.v1.prices.list_async({"lookup_keys": ["basic_monthly"]})
        await at_stripe.v1.subscriptions.create_async(
            {
                "customer": customer.id,
                "items": [{"price": prices.data[0].id}],
                "trial_period_days": 7,
            }
        )
        return customer.id

    return make


async def test_a_linked_customers_subscriptions_are_the_accounts(
    shop, administration, account, a_customer, at_stripe
):
    customer_id = await a_customer()

    linked = await administration.link_customer(account, customer_id)
    check = await shop.check(at_least_revision=linked.revision)

    assert [each.customer_id for each in linked.subscriptions] == [customer_id]
    assert check.entitled
    at_home = await at_stripe.v1.customers.retrieve_async(customer_id)
    assert at_home.metadata["account_id"] == account


async def test_a_customer_that_no_event_told_of_can_be_linked(
    shop, administration, account, a_customer, faults
):
    await faults({"webhooks": {"blocked": True}})
    customer_id = await a_customer()

    await administration.link_customer(account, customer_id)

    assert (await shop.check()).entitled


async def test_a_link_may_be_repeated(administration, account, a_customer):
    customer_id = await a_customer()

    first, again = await asyncio.gather(
        administration.link_customer(account, customer_id),
        administration.link_customer(account, customer_id),
    )

    assert [each.subscription_id for each in first.subscriptions] == [
        each.subscription_id for each in again.subscriptions
    ]


async def test_a_link_that_stripe_was_not_told_of_is_told_by_a_repetition(
    administration, account, a_customer, at_stripe
):
    customer_id = await a_customer()
    await administration.link_customer(account, customer_id)
    await at_stripe.v1.customers.update_async(customer_id, {"metadata": {"account_id": ""}})

    await administration.link_customer(account, customer_id)

    at_home = await at_stripe.v1.customers.retrieve_async(customer_id)
    assert at_home.metadata["account_id"] == account


async def test_a_customer_of_another_account_is_not_linked(administration, account, a_customer):
    customer_id = await a_customer()
    await administration.link_customer(account, customer_id)

    with pytest.raises(paidup.Conflict) as refused:
        await administration.link_customer("another", customer_id)

    assert refused.value.code is StatusCode.ALREADY_EXISTS
    assert refused.value.reason == reasons.ERROR_REASON_CUSTOMER_LINKED
    assert refused.value.metadata == {"account_id": account, "customer_id": customer_id}


async def test_an_account_with_another_customer_is_not_linked(
    administration, account, a_customer, at_stripe
):
    held, other = await a_customer(), await a_customer()
    await administration.link_customer(account, held)

    with pytest.raises(paidup.Conflict) as refused:
        await administration.link_customer(account, other)

    assert refused.value.metadata == {"account_id": account, "customer_id": held}
    at_home = await at_stripe.v1.customers.retrieve_async(other)
    assert "account_id" not in at_home.metadata


async def test_a_customer_that_stripe_ties_to_another_account_is_not_linked(
    administration, account, a_customer, faults
):
    await faults({"webhooks": {"blocked": True}})
    customer_id = await a_customer(metadata={"account_id": f"{account}-other"})

    with pytest.raises(paidup.Conflict) as refused:
        await administration.link_customer(account, customer_id)

    assert refused.value.metadata == {
        "account_id": f"{account}-other",
        "customer_id": customer_id,
    }


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "unheard of"])
async def test_a_customer_that_stripe_does_not_know_is_not_linked(
    administration, account, at_stripe, gone
):
    customer_id = "cus_nobody"
    if gone:
        customer_id = (await at_stripe.v1.customers.create_async({})).id
        await at_stripe.v1.customers.delete_async(customer_id)

    with pytest.raises(paidup.NotFound) as refused:
        await administration.link_customer(account, customer_id)

    assert refused.value.reason == reasons.ERROR_REASON_CUSTOMER_NOT_FOUND
    assert refused.value.metadata == {"account_id": account, "customer_id": customer_id}


async def test_a_link_wants_an_account_and_a_customers_id(administration):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.link_customer("", "../products")

    fields = [each.field for each in refused.value.field_violations]
    assert fields == ["account_id", "customer_id"]


def _bytes_of(database_url: str) -> bytes:
    path = Path(database_url.partition(":///")[2])
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


async def test_nothing_of_the_person_is_left_after_erasing(
    shop, administration, account, stack, database_url
):
    address = f"{account}-erase-me@example.org"
    theirs = dataclasses.replace(shop, email=address)
    await theirs.subscribe()
    await stack.emulator.drain()
    on_disk = database_url.startswith("sqlite")
    assert not on_disk or address.encode() in _bytes_of(database_url)

    erased = await administration.erase_account(account)

    events = (await administration.list_events(account_id=account, page_size=100)).events
    assert erased == len(events) > 0
    assert not on_disk or address.encode() not in _bytes_of(database_url)
    assert await shop.reason() == "ACTIVE"


async def test_to_erase_twice_erases_nothing_more(shop, administration, account, stack):
    await shop.subscribe()
    await stack.emulator.drain()
    await administration.erase_account(account)

    assert await administration.erase_account(account) == 0


async def test_an_account_that_was_never_heard_of_has_nothing_to_erase(administration):
    assert await administration.erase_account("nobody") == 0


async def test_to_erase_wants_an_account(administration):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.erase_account("")

    assert [each.field for each in refused.value.field_violations] == ["account_id"]
