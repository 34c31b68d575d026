"""Events are listed page by page and applied again by their id."""

import pytest
from grpc import StatusCode

import paidup
from billing_service import page_tokens
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import error_reason_pb2 as reasons

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _everything(administration, **wanted):
    events, token = [], ""
    while True:
        page = await administration.list_events(page_token=token, **wanted)
        events += page.events
        token = page.next_page_token
        if not token:
            return events


@pytest.fixture
def bought(shop, stack):
    async def buy() -> None:
        await shop.subscribe()
        await stack.emulator.drain()

    return buy


def _key(event):
    return (event.receive_time.ToNanoseconds(), event.event_id)


async def test_an_accounts_events_are_listed_newest_first(bought, administration, account):
    await bought()

    events = await _everything(administration, account_id=account)

    assert {"customer.created", "customer.subscription.created"} <= {each.type for each in events}
    assert [each.receive_time.ToNanoseconds() for each in events] == sorted(
        (each.receive_time.ToNanoseconds() for each in events), reverse=True
    )
    assert {each.customer_id for each in events} == {events[0].customer_id}
    assert all(each.deliveries >= 1 and not each.error for each in events)
    assert all(each.HasField("create_time") for each in events)


async def test_pages_hold_everything_once(bought, administration, account):
    await bought()

    whole = await _everything(administration, account_id=account, page_size=100)
    paged = await _everything(administration, account_id=account, page_size=2)

    assert len(whole) > 4
    assert paged == whole


async def test_events_of_everybody_are_listed_without_an_account(bought, administration, account):
    await bought()

    ours = await _everything(administration, account_id=account)
    everybodys = await _everything(administration)

    assert {each.event_id for each in ours} < {each.event_id for each in everybodys}


@pytest.mark.parametrize("state", [admin.EVENT_STATE_APPLIED, admin.EVENT_STATE_SKIPPED])
async def test_only_the_state_that_was_asked_for_is_listed(bought, administration, account, state):
    await bought()
    everything = await _everything(administration, account_id=account)

    listed = await _everything(administration, account_id=account, state=state)
    failed = await _everything(administration, account_id=account, state=admin.EVENT_STATE_FAILED)

    assert listed == [each for each in everything if each.state == state]
    assert (bool(everything), failed) == (True, [])


async def test_an_account_that_was_never_heard_of_has_no_events(administration):
    assert await administration.list_events(account_id="nobody") == admin.ListEventsResponse()


@pytest.mark.parametrize(
    "other", [{"account_id": "other"}, {}, {"state": admin.EVENT_STATE_APPLIED}]
)
async def test_a_page_token_of_another_list_is_refused(bought, administration, account, other):
    await bought()
    page = await administration.list_events(account_id=account, page_size=1)

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_events(page_token=page.next_page_token, **other)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN
    assert refused.value.metadata == {"field": "page_token"}


@pytest.mark.parametrize(
    "key",
    [
        [],
        ["yesterday", "evt_1"],
        ["2026-11-02T12:00:00", "evt_1"],
        ["0001-01-01T00:00:00+14:00", "evt_1"],
        ["2026-11-02T12:00:00+00:00", "evt_\x00"],
        ["2026-11-02T12:00:00+00:00", "evt_\ud800"],
    ],
)
async def test_a_page_token_that_somebody_made_up_is_refused(administration, key):
    token = page_tokens.encode(key, of=("events", "", ""))

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_events(page_token=token)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_what_breaks_a_rule_of_the_list_is_named(administration):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_events(account_id="a" * 201, state=99, page_size=-1)

    fields = [each.field for each in refused.value.field_violations]
    assert fields == ["account_id", "state", "page_size"]


async def test_a_replay_of_what_has_been_overtaken_changes_nothing(
    shop, bought, administration, account
):
    await bought()
    events = await _everything(administration, account_id=account)
    (created,) = [each for each in events if each.type == "customer.subscription.created"]

    replayed = await administration.replay_event(created.event_id)

    assert replayed.event_id == created.event_id
    assert replayed.state == admin.EVENT_STATE_SKIPPED
    assert replayed.deliveries == created.deliveries
    assert await shop.reason() == "ACTIVE"


async def test_an_event_that_was_never_received_cannot_be_replayed(administration):
    with pytest.raises(paidup.NotFound) as refused:
        await administration.replay_event("evt_nobody")

    assert refused.value.code is StatusCode.NOT_FOUND
    assert refused.value.reason == reasons.ERROR_REASON_EVENT_NOT_FOUND
    assert refused.value.metadata == {"event_id": "evt_nobody"}


@pytest.mark.parametrize("event_id", ["", "evt_\x00", "e" * 256])
async def test_a_replay_wants_an_events_id(administration, event_id):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.replay_event(event_id)

    assert [each.field for each in refused.value.field_violations] == ["event_id"]


async def test_instead_of_an_event_that_was_erased_its_customer_is_read(
    shop, administration, settled, faults, at_stripe
):
    subscription_id = await shop.subscribe()
    await settled()
    event = (await administration.list_events(account_id=shop.account)).events[0]
    await administration.erase_account(shop.account)
    await faults({"webhooks": {"blocked": True}})
    await at_stripe.v1.subscriptions.cancel_async(subscription_id)
    before = await shop.reason()

    replayed = await administration.replay_event(event.event_id)

    assert before == "ACTIVE"
    assert await shop.reason() == "CANCELED"
    assert replayed.state == admin.EVENT_STATE_SKIPPED
