"""A read of a whole customer, saved: unless something newer was saved since it began."""

from datetime import timedelta

import pytest

from subscription_state.database import Database
from subscription_state.ingest import Outcome
from subscription_state.model import FirstPayment, Status
from subscription_state.tables import change
from subscription_state.verification import Saved
from tests.builders import (
    DAY,
    NOW,
    SECOND,
    a_customer_read,
    a_stripe_customer,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_subscription,
    a_subscription,
    an_item,
)
from tests.state.steps import (
    account,
    customer,
    deliver,
    draw,
    is_urgent,
    revision,
    rows,
    save,
    stored,
    subscription,
    touched,
    verify,
)

CANCELED = a_stripe_event(
    "customer.subscription.deleted", a_stripe_subscription(status="canceled"), id="evt_end"
)


class TestWhatIsSaved:
    async def test_everything_that_stripe_said_and_when(self, bound: Database) -> None:
        found = a_subscription(status=Status.PAST_DUE, unpaid_since=NOW - DAY)

        assert await verify(bound, found, account_id="acct_1") == Saved(
            fresh=True, drift=1, changed=True
        )

        kept = await stored(bound)
        assert kept is not None
        assert kept.subscription == found
        assert (kept.as_of_start, kept.as_of_end) == (NOW - SECOND, NOW + SECOND)
        assert (kept.verified_at, kept.event_time) == (NOW, None)
        assert (await account(bound)).subscriptions == (found,)

    async def test_the_time_of_the_last_event_is_kept(self, bound: Database) -> None:
        await deliver(bound, a_stripe_event(created=NOW - DAY))

        await verify(bound, a_subscription())

        kept = await stored(bound)
        assert kept is not None
        assert kept.event_time == NOW - DAY

    async def test_what_differs_is_drift_and_a_change_of_the_account(self, bound: Database) -> None:
        one, two = (a_subscription(subscription_id=f"sub_{n}") for n in (1, 2))
        await verify(bound, one, two, account_id="acct_1")
        before = len(await rows(bound, change))

        more = a_subscription(subscription_id="sub_2", items=(an_item(quantity=2),))
        assert await verify(bound, one, more) == Saved(fresh=True, drift=1, changed=True)

        entries = await rows(bound, change)
        assert len(entries) == before + 1
        assert max(entry.revision for entry in entries) == await revision(bound)

    async def test_what_agrees_is_neither(self, bound: Database) -> None:
        await verify(bound, a_subscription(), account_id="acct_1")
        before = await rows(bound, change)

        assert await verify(bound, a_subscription(), now=NOW + DAY) == Saved(fresh=True, drift=0)

        assert await rows(bound, change) == before
        kept = await stored(bound)
        assert kept is not None
        assert kept.verified_at == NOW + DAY

    async def test_a_customer_that_is_tied_to_its_account_is_a_change_too(
        self, bound: Database
    ) -> None:
        await verify(bound)

        assert await verify(bound, account_id="acct_1") == Saved(fresh=True, changed=True)

        (entry,) = await rows(bound, change)
        assert entry.account_id == "acct_1"

    async def test_a_subscription_that_stripe_lists_no_more_has_ended(
        self, bound: Database
    ) -> None:
        late = a_subscription(status=Status.PAST_DUE, unpaid_since=NOW)
        await verify(bound, late)

        assert await verify(bound, now=NOW + DAY) == Saved(fresh=True, drift=1, changed=True)

        ended = await subscription(bound)
        assert (ended.status, ended.end_time) == (Status.CANCELED, NOW + DAY)
        assert ended.unpaid_since is None

    @pytest.mark.parametrize("status", [Status.CANCELED, Status.INCOMPLETE_EXPIRED])
    async def test_one_that_had_ended_before_stays_as_it_was(
        self, bound: Database, status: Status
    ) -> None:
        over = a_subscription(status=status, end_time=NOW - DAY)
        await verify(bound, over)

        assert await verify(bound) == Saved(fresh=True, drift=0)

        assert await subscription(bound) == over

    async def test_other_customers_are_left_alone(self, bound: Database) -> None:
        theirs = a_subscription(subscription_id="sub_2", customer_id="cus_2")
        await verify(bound, theirs, customer_id="cus_2")

        await verify(bound, a_subscription())

        assert await subscription(bound, "sub_2") == theirs

    async def test_a_customer_that_stripe_knows_no_more_is_deleted(self, bound: Database) -> None:
        await verify(bound, a_subscription(), account_id="acct_1")

        await verify(bound, deleted=True)

        found = await account(bound)
        assert found.customer_deleted
        assert [each.status for each in found.subscriptions] == [Status.CANCELED]
        assert await verify(bound, deleted=True) == Saved(fresh=True, drift=0)

    async def test_a_terminal_one_that_stripe_calls_alive_is_what_stripe_says(
        self, bound: Database
    ) -> None:
        """Events never bring one back; a read is the truth."""
        await deliver(bound, CANCELED)

        await verify(bound, a_subscription())

        assert (await subscription(bound)).status is Status.ACTIVE


class TestFences:
    async def test_a_slow_old_read_does_not_overwrite_a_new_event(self, bound: Database) -> None:
        await verify(bound, a_subscription())
        slow = a_customer_read(a_subscription(), ticket=await draw(bound))
        await deliver(bound, CANCELED | {"created": int((NOW + 9 * SECOND).timestamp())})

        assert await save(bound, slow) == Saved(fresh=False)

        assert (await subscription(bound)).status is Status.CANCELED
        assert len(await touched(bound)) == 1

    async def test_a_read_that_began_after_the_event_is_saved(self, bound: Database) -> None:
        await deliver(bound, CANCELED)
        read = a_customer_read(a_subscription(status=Status.CANCELED), ticket=await draw(bound))

        assert (await save(bound, read)).fresh
        assert await touched(bound) == []

    async def test_a_slow_old_read_does_not_overwrite_a_newer_read(self, bound: Database) -> None:
        slow = a_customer_read(a_subscription(), ticket=await draw(bound))
        await verify(bound, a_subscription(status=Status.CANCELED))

        assert await save(bound, slow) == Saved(fresh=False)

        assert (await subscription(bound)).status is Status.CANCELED

    async def test_a_slow_old_read_does_not_bring_a_deleted_customers_access_back(
        self, bound: Database
    ) -> None:
        await verify(bound, a_subscription(), account_id="acct_1")
        slow = a_customer_read(a_subscription(), ticket=await draw(bound))
        await deliver(bound, a_stripe_event("customer.deleted", a_stripe_customer()))

        assert await save(bound, slow) == Saved(fresh=False)

    async def test_a_slow_old_read_does_not_unconfirm_a_payment(self, bound: Database) -> None:
        pending = a_subscription(first_payment=FirstPayment.PENDING)
        await verify(bound, pending)
        slow = a_customer_read(pending, ticket=await draw(bound))
        await deliver(bound, a_stripe_event("invoice.paid", a_stripe_invoice()))

        assert await save(bound, slow) == Saved(fresh=False)

        assert (await subscription(bound)).first_payment is FirstPayment.CONFIRMED

    async def test_events_of_another_customer_fence_nothing(self, bound: Database) -> None:
        read = a_customer_read(a_subscription(), ticket=await draw(bound))
        other = a_stripe_subscription(id="sub_2", customer="cus_2")
        await deliver(bound, a_stripe_event(held=other))

        assert (await save(bound, read)).fresh

    async def test_an_event_that_was_not_saved_fences_nothing_but_keeps_its_touch(
        self, bound: Database
    ) -> None:
        await verify(bound, a_subscription(), account_id="acct_1")
        read = a_customer_read(a_subscription(), ticket=await draw(bound))
        assert await deliver(bound, a_stripe_event(created=NOW)) == [Outcome.SKIPPED]

        assert (await save(bound, read)).fresh

        assert await is_urgent(bound)

    async def test_the_ticket_of_the_read_is_remembered(self, bound: Database) -> None:
        await verify(bound, a_subscription())

        known = await customer(bound)
        assert known is not None
        assert known.saved_ticket == known.read_ticket > 0


@pytest.mark.parametrize(
    ("later", "outcome", "is_asked"),
    [
        (timedelta(seconds=-1), Outcome.SKIPPED, False),
        (timedelta(0), Outcome.SKIPPED, True),
        (timedelta(seconds=1), Outcome.SKIPPED, True),
        (timedelta(seconds=2), Outcome.APPLIED, False),
    ],
)
async def test_an_event_is_judged_by_the_interval_of_the_last_read(
    bound: Database, later: timedelta, outcome: Outcome, *, is_asked: bool
) -> None:
    await verify(bound, a_subscription(), account_id="acct_1")

    past_due = a_stripe_event(held=a_stripe_subscription(status="past_due"), created=NOW + later)

    assert await deliver(bound, past_due) == [outcome]
    assert await is_urgent(bound) is is_asked
    assert (await subscription(bound)).status is (
        Status.PAST_DUE if outcome is Outcome.APPLIED else Status.ACTIVE
    )
