"""Events taken in: stored, applied where Rule 1 allows it, and their customer touched."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.event import listen, remove
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import apply, checkouts, deployment, events
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable, UnexpectedShape
from subscription_state.events import EventState
from subscription_state.ingest import Outcome, ingest, store_failed
from subscription_state.model import FirstPayment, Status
from subscription_state.tables import catalog_mirror, change, event, metadata
from subscription_state.tables import deployment as deployment_table
from subscription_state.tables import head as head_table
from tests.builders import (
    DAY,
    LEFT_OUT,
    NOW,
    SECOND,
    Json,
    a_checkout_session,
    a_delivery,
    a_stripe_checkout_session,
    a_stripe_customer,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_item,
    a_stripe_subscription,
    a_subscription,
    an_item,
    seconds,
)
from tests.state.steps import (
    account,
    customer,
    deliver,
    filled_tables,
    is_urgent,
    revision,
    rows,
    stored,
    subscription,
    touched,
    verify,
)

APPLIED, SKIPPED, DUPLICATE = Outcome.APPLIED, Outcome.SKIPPED, Outcome.DUPLICATE


def created_event(held: Json, event_id: str = "evt_created", **overrides: Any) -> Json:
    return a_stripe_event("customer.subscription.created", held, id=event_id, **overrides)


def updated_event(held: Json, event_id: str = "evt_updated", **overrides: Any) -> Json:
    return a_stripe_event("customer.subscription.updated", held, id=event_id, **overrides)


def deleted_event(held: Json, event_id: str = "evt_deleted", **overrides: Any) -> Json:
    return a_stripe_event("customer.subscription.deleted", held, id=event_id, **overrides)


def invoice_event(type_: str, event_id: str = "evt_invoice", **invoice: Any) -> Json:
    return a_stripe_event(type_, a_stripe_invoice(**invoice), id=event_id)


class TestASubscriptionsEvent:
    async def test_it_is_saved_with_its_customer_account_and_a_revision(
        self, bound: Database
    ) -> None:
        assert await deliver(bound, created_event(a_stripe_subscription())) == [APPLIED]

        found = await stored(bound)
        assert found is not None
        assert found.subscription == a_subscription(first_payment=FirstPayment.PENDING)
        assert (found.event_time, found.as_of_end, found.verified_at) == (NOW, None, None)
        assert (await account(bound)).subscriptions == (found.subscription,)
        (entry,) = await rows(bound, change)
        assert (entry.account_id, entry.revision) == ("acct_1", await revision(bound))

    async def test_its_customer_is_touched_and_fences_reads_that_began_before(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))

        assert await is_urgent(bound) is False
        owner = await customer(bound)
        assert owner is not None
        assert owner.saved_ticket == await revision(bound)

    async def test_one_without_an_account_is_kept_unlinked_and_changes_nobody(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription(metadata={})))

        owner = await customer(bound)
        assert owner is not None
        assert owner.account_id is None
        assert await subscription(bound)
        assert await rows(bound, change) == []

    async def test_one_that_says_what_is_stored_makes_no_revision(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        before = await rows(bound, change)

        later = updated_event(a_stripe_subscription(), created=NOW + SECOND)
        assert await deliver(bound, later) == [APPLIED]

        assert await rows(bound, change) == before

    async def test_an_update_before_the_create_is_not_undone_by_it(self, bound: Database) -> None:
        active = a_stripe_subscription(status="active")
        incomplete = a_stripe_subscription(status="incomplete")

        await deliver(bound, updated_event(active, previous={"status": "incomplete"}))
        assert await deliver(bound, created_event(incomplete, created=NOW - SECOND)) == [SKIPPED]

        assert (await subscription(bound)).status is Status.ACTIVE

    async def test_an_update_before_a_create_of_the_same_second_is_asked_about(
        self, bound: Database
    ) -> None:
        active = a_stripe_subscription(status="active")
        incomplete = a_stripe_subscription(status="incomplete")

        await deliver(bound, updated_event(active, previous={"status": "incomplete"}))
        assert await deliver(bound, created_event(incomplete)) == [SKIPPED]

        assert (await subscription(bound)).status is Status.ACTIVE
        assert await is_urgent(bound)

    async def test_a_trial_that_is_paid_in_one_second_arrives_whatever_the_order(
        self, bound: Database
    ) -> None:
        trial = created_event(a_stripe_subscription(status="trialing", trial_end=seconds(NOW)))
        paid = updated_event(
            a_stripe_subscription(status="active", trial_end=seconds(NOW)),
            previous={"status": "trialing"},
        )

        await deliver(bound, trial)
        await deliver(bound, paid)
        assert (await subscription(bound)).status is Status.ACTIVE

        # A second subscription, for which they come the other way round.
        for each in (paid, trial):
            held = each["data"]["object"] | {"id": "sub_2"}
            again = each | {"id": f"{each['id']}_2", "data": each["data"] | {"object": held}}
            await deliver(bound, again)
        assert (await subscription(bound, "sub_2")).status is Status.ACTIVE

    async def test_a_subscription_that_ended_stays_ended(self, bound: Database) -> None:
        ended = a_stripe_subscription(status="canceled", ended_at=seconds(NOW))
        await deliver(bound, deleted_event(ended))

        late = updated_event(
            a_stripe_subscription(), created=NOW + SECOND, previous={"status": "canceled"}
        )
        assert await deliver(bound, late) == [SKIPPED]

        assert (await subscription(bound)).status is Status.CANCELED

    async def test_an_old_subscriptions_end_takes_nothing_from_a_new_one(
        self, bound: Database
    ) -> None:
        old = a_stripe_subscription(id="sub_old", status="canceled", ended_at=seconds(NOW))
        await deliver(bound, created_event(a_stripe_subscription(id="sub_new")))

        await deliver(bound, deleted_event(old, created=NOW + SECOND))

        statuses = {
            each.subscription_id: each.status for each in (await account(bound)).subscriptions
        }
        assert statuses == {"sub_new": Status.ACTIVE, "sub_old": Status.CANCELED}

    async def test_items_that_were_removed_are_gone(self, bound: Database) -> None:
        two = [a_stripe_item(), a_stripe_item(id="si_2", product="prod_plus")]
        await deliver(bound, created_event(a_stripe_subscription(items=two)))

        one = updated_event(a_stripe_subscription(), created=NOW + SECOND)
        await deliver(bound, one)

        assert (await subscription(bound)).items == (an_item(),)

    async def test_grace_counts_from_the_first_unpaid_invoice(self, bound: Database) -> None:
        def late(period_start: Any, event_id: str, created: Any) -> Json:
            items = [a_stripe_item(current_period_start=seconds(period_start))]
            held = a_stripe_subscription(status="past_due", items=items)
            return updated_event(held, event_id, created=created)

        await deliver(bound, late(NOW - 30 * DAY, "evt_1", NOW))
        await deliver(bound, late(NOW, "evt_2", NOW + DAY))
        assert (await subscription(bound)).unpaid_since == NOW - 30 * DAY

        paid = updated_event(a_stripe_subscription(), "evt_3", created=NOW + 2 * DAY)
        await deliver(bound, paid)
        assert (await subscription(bound)).unpaid_since is None

    @pytest.mark.parametrize(
        "type_",
        [
            "customer.subscription.paused",
            "customer.subscription.resumed",
            "customer.subscription.trial_will_end",
            "customer.subscription.pending_update_applied",
            "customer.subscription.something_new",
        ],
    )
    async def test_every_event_of_a_subscription_carries_it_whole(
        self, bound: Database, type_: str
    ) -> None:
        held = a_stripe_subscription(status="paused")

        assert await deliver(bound, a_stripe_event(type_, held)) == [APPLIED]

        assert (await subscription(bound)).status is Status.PAUSED


class TestTheFirstPayment:
    async def first_payment(self, bound: Database) -> FirstPayment:
        return (await subscription(bound)).first_payment

    async def test_an_invoice_that_comes_before_its_subscription_is_asked_about(
        self, bound: Database
    ) -> None:
        assert await deliver(bound, invoice_event("invoice.paid")) == [SKIPPED]

        await deliver(bound, created_event(a_stripe_subscription()))

        assert await self.first_payment(bound) is FirstPayment.PENDING
        assert await is_urgent(bound)

    async def test_a_debit_that_bounces_fails_the_payment_and_leaves_the_status(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        assert await self.first_payment(bound) is FirstPayment.PENDING

        bounced = invoice_event("invoice.voided", status="void")
        assert await deliver(bound, bounced) == [APPLIED]

        found = await subscription(bound)
        assert (found.status, found.first_payment) == (Status.ACTIVE, FirstPayment.FAILED)
        assert len(await rows(bound, change)) == 2

    async def test_a_debit_that_arrives_confirms_the_payment(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))

        assert await deliver(bound, invoice_event("invoice.paid")) == [APPLIED]

        assert await self.first_payment(bound) is FirstPayment.CONFIRMED
        assert len(await rows(bound, change)) == 2

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    async def test_paid_wins_over_failed_whatever_the_order(
        self, bound: Database, order: tuple[int, int]
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        news = [
            invoice_event("invoice.paid", "evt_paid"),
            invoice_event("invoice.marked_uncollectible", "evt_given_up", status="uncollectible"),
        ]

        for at in order:
            await deliver(bound, news[at])

        assert await self.first_payment(bound) is FirstPayment.CONFIRMED

    async def test_a_renewal_that_fails_says_nothing_about_the_first_payment(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))

        renewal = {"status": "void", "billing_reason": "subscription_cycle"}
        assert await deliver(bound, invoice_event("invoice.voided", **renewal)) == [SKIPPED]
        failed = invoice_event("invoice.payment_failed", "evt_2", status="open")
        assert await deliver(bound, failed) == [SKIPPED]

        assert await self.first_payment(bound) is FirstPayment.PENDING
        assert await is_urgent(bound)

    async def test_a_subscriptions_own_event_leaves_what_is_known_of_its_payment(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        await deliver(bound, invoice_event("invoice.paid"))

        renamed = updated_event(a_stripe_subscription(), created=NOW + SECOND)
        await deliver(bound, renamed)

        assert await self.first_payment(bound) is FirstPayment.CONFIRMED

    async def test_it_fences_reads_that_began_before_it(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        await deliver(bound, invoice_event("invoice.paid"))

        owner = await customer(bound)
        assert owner is not None
        assert owner.saved_ticket == await revision(bound)

    async def test_an_invoice_of_no_subscription_is_nothing_to_us(self, bound: Database) -> None:
        other = invoice_event("invoice.paid", parent=None)

        assert await deliver(bound, other) == [SKIPPED]
        assert await is_urgent(bound) is False


class TestDeletedCustomers:
    GONE = a_stripe_event("customer.deleted", a_stripe_customer(), id="evt_gone")
    ENDED = deleted_event(a_stripe_subscription(status="canceled", ended_at=seconds(NOW)))

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    async def test_nothing_holds_whatever_comes_first(
        self, bound: Database, order: tuple[int, int]
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription(), created=NOW - DAY))

        for at in order:
            await deliver(bound, (self.GONE, self.ENDED)[at])

        found = await account(bound)
        assert found.customer_deleted
        assert [each.status for each in found.subscriptions] == [Status.CANCELED]

    async def test_one_that_is_deleted_before_it_was_heard_of_stays_deleted(
        self, bound: Database
    ) -> None:
        assert await deliver(bound, self.GONE) == [APPLIED]

        late = created_event(a_stripe_subscription(), created=NOW - DAY)
        await deliver(bound, late)

        assert (await account(bound)).customer_deleted

    async def test_it_is_a_change_of_the_account_once(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))
        before = len(await rows(bound, change))

        await deliver(bound, self.GONE)
        assert await deliver(bound, self.GONE | {"id": "evt_again"}) == [SKIPPED]

        assert len(await rows(bound, change)) == before + 1

    async def test_a_new_customer_takes_the_account_over(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()), self.GONE)

        again = a_stripe_subscription(id="sub_2", customer="cus_2")
        await deliver(bound, created_event(again, "evt_2"))

        found = await account(bound)
        assert not found.customer_deleted
        assert [each.subscription_id for each in found.subscriptions] == ["sub_2"]


class TestEventsThatNameAnother:
    """An event is only applied to the customer that it names, whose row is locked."""

    async def test_an_invoice_of_another_customers_subscription_is_asked_about(
        self, bound: Database
    ) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))

        assert await deliver(bound, invoice_event("invoice.paid", customer="cus_2")) == [SKIPPED]

        assert (await subscription(bound)).first_payment is FirstPayment.PENDING
        urgent = {each.customer_id: each.urgent for each in await touched(bound)}
        assert urgent == {"cus_1": False, "cus_2": True}

    async def test_a_customers_event_about_something_else_saves_nothing(
        self, bound: Database
    ) -> None:
        other = {"id": "cus_9", "object": "other", "customer": "cus_1"}

        assert await deliver(bound, a_stripe_event("customer.deleted", other)) == [SKIPPED]

        owner = await customer(bound)
        assert owner is not None
        assert not owner.deleted
        assert await customer(bound, "cus_9") is None
        assert await is_urgent(bound)


class TestOtherEvents:
    @pytest.mark.parametrize("type_", ["customer.created", "customer.updated"])
    async def test_a_customer_is_tied_to_its_account(self, bound: Database, type_: str) -> None:
        named = a_stripe_event(type_, a_stripe_customer())

        assert await deliver(bound, named) == [APPLIED]
        assert await deliver(bound, named | {"id": "evt_2"}) == [SKIPPED]

        owner = await customer(bound)
        assert owner is not None
        assert owner.account_id == "acct_1"
        assert len(await rows(bound, change)) == 1

    async def test_a_checkout_session_of_ours_is_noted(self, bound: Database) -> None:
        await bound.write(lambda connection: checkouts.save(connection, a_checkout_session()))
        completed = a_stripe_event("checkout.session.completed", a_stripe_checkout_session())

        assert await deliver(bound, completed) == [APPLIED]

        async with bound.read() as connection:
            session = await checkouts.get(connection, "cs_test_1")
        assert session == a_checkout_session(
            status="complete", payment_status="paid", subscription_id="sub_1"
        )
        assert await is_urgent(bound) is False

    async def test_a_checkout_session_of_others_only_touches(self, bound: Database) -> None:
        completed = a_stripe_event("checkout.session.completed", a_stripe_checkout_session())

        assert await deliver(bound, completed) == [SKIPPED]
        assert await is_urgent(bound) is False

    async def test_a_summary_of_entitlements_only_touches(self, bound: Database) -> None:
        summary = {"object": "entitlements.active_entitlement_summary", "customer": "cus_1"}
        event = a_stripe_event("entitlements.active_entitlement_summary.updated", summary)

        assert await deliver(bound, event) == [SKIPPED]
        assert await is_urgent(bound) is False

    @pytest.mark.parametrize("type_", ["product.created", "product.updated", "product.deleted"])
    async def test_a_product_makes_the_mirror_due_and_touches_nobody(
        self, bound: Database, type_: str
    ) -> None:
        product = {"id": "prod_team", "object": "product", "name": "Team"}

        assert await deliver(bound, a_stripe_event(type_, product)) == [APPLIED]

        (mirror,) = await rows(bound, catalog_mirror)
        assert mirror.wanted_ticket == await revision(bound)
        assert await touched(bound) == []


class TestWhatIsNotSaved:
    @pytest.mark.parametrize("version", ["2024-06-20", "2026-08-26.dahlia", None, LEFT_OUT])
    async def test_another_api_version_is_read_from_stripe_instead(
        self, bound: Database, version: object
    ) -> None:
        other = created_event(a_stripe_subscription(), api_version=version)

        assert await deliver(bound, other) == [SKIPPED]

        assert await stored(bound) is None
        assert await is_urgent(bound)

    @pytest.mark.parametrize(
        ("type_", "held"),
        [
            ("customer.subscription.updated", a_stripe_subscription(items=None)),
            ("customer.subscription.updated", a_stripe_subscription(id=5)),
            ("customer.subscription.updated", a_stripe_subscription(created="today")),
            ("invoice.paid", a_stripe_invoice(parent="sub_1")),
            ("invoice.paid", a_stripe_invoice(parent={"subscription_details": "sub_1"})),
            ("checkout.session.completed", a_stripe_checkout_session(status=None)),
            ("checkout.session.completed", a_stripe_checkout_session(id=LEFT_OUT)),
        ],
    )
    async def test_an_unknown_shape_is_read_from_stripe_instead(
        self, bound: Database, type_: str, held: Json
    ) -> None:
        assert await deliver(bound, a_stripe_event(type_, held)) == [SKIPPED]

        assert await stored(bound) is None
        assert await is_urgent(bound)

    @pytest.mark.parametrize("previous", [["status"], "status", 5])
    async def test_changes_of_an_unknown_shape_are_too(
        self, bound: Database, previous: object
    ) -> None:
        event = updated_event(a_stripe_subscription())
        event["data"]["previous_attributes"] = previous

        assert await deliver(bound, event) == [SKIPPED]
        assert await is_urgent(bound)

    @pytest.mark.parametrize("customer_id", [None, LEFT_OUT, "", {"object": "customer"}])
    async def test_a_subscription_of_no_customer_leaves_no_trace_but_the_event(
        self, bound: Database, customer_id: object
    ) -> None:
        orphan = created_event(a_stripe_subscription(customer=customer_id))

        assert await deliver(bound, orphan) == [SKIPPED]
        assert await filled_tables(bound) == {"event"}

    @pytest.mark.parametrize(
        "foreign",
        [{"livemode": True}, {"account": "acct_theirs"}],
        ids=["of the other mode", "of another account"],
    )
    async def test_a_foreign_event_leaves_no_rows_at_all(
        self, bound: Database, foreign: Json
    ) -> None:
        before = await revision(bound)

        outcomes = await deliver(bound, created_event(a_stripe_subscription(), **foreign))

        assert outcomes == [Outcome.FOREIGN]
        assert await filled_tables(bound) == set()
        assert await revision(bound) == before

    async def test_an_event_that_names_our_own_account_is_ours(self, bound: Database) -> None:
        named = created_event(a_stripe_subscription(), account="acct_ours")

        assert await deliver(bound, named) == [APPLIED]

    async def test_an_event_that_names_an_account_is_foreign_until_ours_is_known(
        self, database: Database
    ) -> None:
        await database.write(lambda connection: deployment.bind(connection, livemode=False))

        named = created_event(a_stripe_subscription(), account="acct_ours")

        assert await deliver(database, named) == [Outcome.FOREIGN]

    async def test_an_event_of_a_type_that_tells_nothing_leaves_no_rows_at_all(
        self, bound: Database
    ) -> None:
        for type_ in ("charge.succeeded", "invoice.created", "customer.tax_id.created", "x"):
            assert await deliver(bound, a_stripe_event(type_)) == [Outcome.IGNORED]

        assert await filled_tables(bound) == set()

    async def test_a_database_that_was_never_bound_takes_nothing(self, database: Database) -> None:
        with pytest.raises(StateUnavailable):
            await deliver(database, created_event(a_stripe_subscription()))

        assert await filled_tables(database) == set()


#: What may come together, and in which the later ones rest on the earlier.
BATCHES = {
    "a subscription's life": [
        created_event(a_stripe_subscription(status="incomplete"), "evt_1"),
        invoice_event("invoice.paid", "evt_2"),
        updated_event(a_stripe_subscription(), "evt_3", previous={"status": "incomplete"}),
        deleted_event(
            a_stripe_subscription(status="canceled", ended_at=seconds(NOW)),
            "evt_4",
            created=NOW + SECOND,
        ),
        updated_event(a_stripe_subscription(), "evt_5", created=NOW + 2 * SECOND),
    ],
    "an account that goes to a new customer": [
        a_stripe_event("customer.deleted", a_stripe_customer(), id="evt_1"),
        created_event(a_stripe_subscription(id="sub_2", customer="cus_2"), "evt_2"),
        a_stripe_event("customer.updated", a_stripe_customer(id="cus_3"), id="evt_3"),
    ],
    "two customers that name one account": [
        a_stripe_event(
            "customer.created",
            a_stripe_customer(id=f"cus_{n}", metadata={"account_id": "acct_2"}),
            id=f"evt_{n}",
        )
        for n in (3, 2)
    ],
    "a session's end, told twice and late": [
        a_stripe_event(
            f"checkout.session.{what}",
            a_stripe_checkout_session(status=status, payment_status=paid),
            id=f"evt_{what}",
        )
        for what, status, paid in [
            ("completed", "complete", "unpaid"),
            ("async_payment_succeeded", "complete", "paid"),
            ("expired", "expired", "unpaid"),
        ]
    ],
    "some that ask": [
        updated_event(a_stripe_subscription(id="sub_0", status="past_due"), "evt_1"),
        invoice_event("invoice.payment_failed", "evt_2", customer="cus_2"),
        invoice_event("invoice.paid", "evt_3", subscription="sub_unheard"),
    ],
    "one of them twice": [
        updated_event(a_stripe_subscription(id="sub_0"), "evt_0"),
        updated_event(a_stripe_subscription(), "evt_1"),
        updated_event(a_stripe_subscription(), "evt_1"),
    ],
    "products among customers": [
        a_stripe_event("product.updated", {"id": "prod_1", "object": "product"}, id="evt_1"),
        created_event(a_stripe_subscription(customer="cus_9", metadata={}), "evt_2"),
        a_stripe_event("product.deleted", {"id": "prod_1", "object": "product"}, id="evt_3"),
    ],
}


class TestDeliveries:
    async def test_a_second_delivery_changes_nothing_and_is_counted(self, bound: Database) -> None:
        event_ = created_event(a_stripe_subscription())
        await deliver(bound, event_)
        await verify(bound, a_subscription())
        before = await revision(bound)

        assert await deliver(bound, event_) == [DUPLICATE]

        assert await revision(bound) == before
        assert await touched(bound) == []
        (row,) = await rows(bound, event)
        assert (row.deliveries, row.state) == (2, "applied")

    async def test_twice_in_one_batch_is_taken_in_once(self, bound: Database) -> None:
        event_ = created_event(a_stripe_subscription())

        assert await deliver(bound, event_, event_) == [APPLIED, DUPLICATE]

        assert len(await rows(bound, change)) == 1

    async def test_of_two_in_one_batch_the_first_is_kept(self, bound: Database) -> None:
        event_ = created_event(a_stripe_subscription())
        times = (NOW, NOW + SECOND)

        await ingest(bound, [a_delivery(event_, received=time) for time in times])

        (row,) = await rows(bound, event)
        assert (row.receive_time, row.deliveries) == (NOW, 2)

    async def test_many_at_once_are_one_row_and_one_effect(self, bound: Database) -> None:
        event_ = created_event(a_stripe_subscription())

        outcomes = await asyncio.gather(*(deliver(bound, event_) for _ in range(8)))

        flat = [outcome for (outcome,) in outcomes]
        assert (flat.count(APPLIED), flat.count(DUPLICATE)) == (1, 7)
        (row,) = await rows(bound, event)
        assert row.deliveries == 8

    async def test_batches_that_overlap_crosswise_are_all_taken_in(self, bound: Database) -> None:
        """Sessions that nobody paid have no customer whose lock would bring these in order."""
        session = a_stripe_checkout_session(status="expired", customer=None)
        expired = [
            a_stripe_event("checkout.session.expired", session, id=f"evt_{n}") for n in range(6)
        ]

        outcomes = await asyncio.gather(
            *(deliver(bound, *expired[at:], *expired[:at]) for at in range(6))
        )

        flat = [outcome for each in outcomes for outcome in each]
        assert (flat.count(SKIPPED), flat.count(DUPLICATE)) == (6, 30)

    async def test_outcomes_are_in_the_order_of_the_deliveries(self, bound: Database) -> None:
        outcomes = await deliver(
            bound,
            a_stripe_event("charge.succeeded", id="evt_1"),
            created_event(a_stripe_subscription(), "evt_2"),
            created_event(a_stripe_subscription(), "evt_3", livemode=True),
            created_event(a_stripe_subscription(), "evt_2"),
            a_stripe_event("invoice.payment_failed", a_stripe_invoice(), id="evt_4"),
        )

        assert outcomes == [
            Outcome.IGNORED,
            APPLIED,
            Outcome.FOREIGN,
            DUPLICATE,
            SKIPPED,
        ]

    @pytest.mark.parametrize("together", BATCHES.values(), ids=BATCHES)
    async def test_together_they_leave_what_they_leave_one_by_one(
        self, bound: Database, together: list[Json]
    ) -> None:
        await bound.write(lambda connection: checkouts.save(connection, a_checkout_session()))
        await deliver(bound, created_event(a_stripe_subscription(id="sub_0"), "evt_0"))

        outcomes = await deliver(bound, *together)

        left = await self.left(bound)
        await self.begin_anew(bound)
        await bound.write(lambda connection: checkouts.save(connection, a_checkout_session()))
        await deliver(bound, created_event(a_stripe_subscription(id="sub_0"), "evt_0"))
        one_by_one = [await deliver(bound, each) for each in together]
        assert outcomes == [outcome for (outcome,) in one_by_one]
        assert left == await self.left(bound)

    async def left(self, bound: Database) -> dict[str, list[Any]]:
        """Give every row but those of changes, of which an account needs only the last."""
        tables = [table for table in metadata.sorted_tables if table is not change]
        return {table.name: sorted(map(repr, await rows(bound, table))) for table in tables}

    async def begin_anew(self, bound: Database) -> None:
        """Empty all that events fill, and count again from where it was counted from."""

        async def work(connection: AsyncConnection) -> None:
            for table in metadata.sorted_tables:
                if table not in (deployment_table, head_table):
                    await connection.execute(delete(table))
            await connection.execute(update(head_table).values(revision=1))

        await bound.write(work)

    async def test_an_account_that_changes_often_in_one_commit_changes_once(
        self, bound: Database
    ) -> None:
        await deliver(
            bound,
            created_event(a_stripe_subscription()),
            invoice_event("invoice.paid"),
            updated_event(a_stripe_subscription(status="past_due"), created=NOW + SECOND),
        )

        (entry,) = await rows(bound, change)
        assert entry.revision == await revision(bound)
        owner = await customer(bound)
        assert owner is not None
        assert owner.saved_ticket == entry.revision

    async def test_a_batch_costs_the_statements_of_one(self, bound: Database) -> None:
        """A new customer's first event is the dearest; many cost no more than it."""
        alone = await self.statements(bound, [0])
        assert await self.statements(bound, list(range(1, 41))) == alone

    async def statements(self, bound: Database, numbers: list[int]) -> int:
        batch = [
            created_event(
                a_stripe_subscription(
                    id=f"sub_{n}", customer=f"cus_{n}", metadata={"account_id": f"acct_{n}"}
                ),
                f"evt_{n}",
            )
            for n in numbers
        ]
        counted: list[str] = []

        def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            counted.append(statement)

        engine = bound._engine.sync_engine
        listen(engine, "before_cursor_execute", count)
        assert set(await deliver(bound, *batch)) == {APPLIED}
        remove(engine, "before_cursor_execute", count)
        return len(counted)

    async def test_what_was_received_is_kept(self, bound: Database) -> None:
        delivery = a_delivery(created_event(a_stripe_subscription()), received=NOW + SECOND)

        await deliver(bound, dict(delivery.content), received=NOW + SECOND)

        (row,) = await rows(bound, event)
        assert row.event_id == "evt_created"
        assert row.type == "customer.subscription.created"
        assert row.customer_id == "cus_1"
        assert (row.create_time, row.receive_time) == (NOW, NOW + SECOND)
        assert row.body == delivery.event.body
        assert row.error is None

    async def test_a_batch_is_saved_whole_or_not_at_all(
        self, bound: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_down(*_arguments: object) -> apply.Applied:
            raise LookupError

        monkeypatch.setitem(apply._RULES, "invoice.paid", apply.Rule(apply=break_down))
        with pytest.raises(LookupError):
            await deliver(
                bound, created_event(a_stripe_subscription()), invoice_event("invoice.paid")
            )

        assert await filled_tables(bound) == set()


class TestOneThatCannotBeApplied:
    EVENT = created_event(a_stripe_subscription())

    async def test_it_is_kept_as_failed_and_its_customer_is_read(self, bound: Database) -> None:
        outcome = await store_failed(bound, a_delivery(self.EVENT), "LookupError")

        assert outcome is Outcome.FAILED
        (row,) = await rows(bound, event)
        assert (row.state, row.error) == ("failed", "LookupError")
        assert await stored(bound) is None
        assert await is_urgent(bound)

    async def test_delivered_again_it_is_tried_again(self, bound: Database) -> None:
        await store_failed(bound, a_delivery(self.EVENT), "LookupError")

        assert await deliver(bound, self.EVENT) == [APPLIED]

        (row,) = await rows(bound, event)
        assert (row.state, row.error, row.deliveries) == ("applied", None, 2)
        assert await subscription(bound)

    async def test_one_of_no_customer_is_kept_too(self, bound: Database) -> None:
        product = a_stripe_event("product.updated", {"id": "prod_1", "object": "product"})

        await store_failed(bound, a_delivery(product), "LookupError")

        assert await filled_tables(bound) == {"event"}


class TestTheStateOfAnEvent:
    async def state(self, bound: Database, event_id: str) -> EventState | None:
        async with bound.read() as connection:
            return await events.state_of(connection, event_id)

    async def test_it_can_be_asked_for(self, bound: Database) -> None:
        await deliver(bound, created_event(a_stripe_subscription()))

        assert await self.state(bound, "evt_created") is EventState.APPLIED
        assert await self.state(bound, "evt_unheard") is None

    async def test_a_new_one_is_pending(self, bound: Database) -> None:
        async def work(connection: AsyncConnection) -> list[EventState | None]:
            received = a_delivery().event
            return [await events.store(connection, received) for _ in range(2)]

        assert await bound.write(work) == [None, EventState.PENDING]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"object": "v2.core.event"},
        {"object": LEFT_OUT},
        {"id": LEFT_OUT},
        {"id": ""},
        {"id": "e" * 256},
        {"id": "evt_\x00"},
        {"id": {"id": "evt_1"}},
        {"type": None},
        {"type": "t" * 256},
        {"created": None},
        {"created": 10**15},
        {"data": None},
        {"data": {}},
        {"data": {"object": "sub_1"}},
        {"livemode": None},
        {"livemode": "false"},
        {"account": 5},
        {"account": ""},
        {"data": {"object": {"object": "invoice", "customer": "c" * 256}}},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(spoiled: Json) -> None:
    with pytest.raises(UnexpectedShape):
        a_delivery(a_stripe_event(**spoiled))
