"""Stripe's objects of the pinned API version, read into the model."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscription_state import from_stripe
from subscription_state.errors import UnexpectedShape
from subscription_state.from_stripe import (
    account_of,
    id_of,
    judge_first_payment,
    subscription_from_stripe,
    subscription_of_invoice,
)
from subscription_state.ingest import delivery_from_stripe
from subscription_state.model import FirstPayment, Item, Status
from tests.builders import (
    DAY,
    LEFT_OUT,
    NOW,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_item,
    a_stripe_subscription,
    seconds,
)


def read(**overrides: Any) -> from_stripe.Subscription:
    return subscription_from_stripe(a_stripe_subscription(**overrides))


class TestASubscription:
    def test_everything_that_is_kept_of_it_is_read(self) -> None:
        subscription = read(
            status="trialing",
            trial_end=seconds(NOW + DAY),
            ended_at=seconds(NOW + 3 * DAY),
            cancel_at=seconds(NOW + 2 * DAY),
            items=[a_stripe_item(quantity=7)],
        )

        assert subscription.subscription_id == "sub_1"
        assert subscription.customer_id == "cus_1"
        assert subscription.status is Status.TRIALING
        assert subscription.create_time == NOW - DAY
        assert subscription.trial_end == NOW + DAY
        assert subscription.cancel_time == NOW + 2 * DAY
        assert subscription.end_time == NOW + 3 * DAY
        assert subscription.items == (
            Item(
                price_id="price_team",
                product_id="prod_team",
                quantity=7,
                period_end=NOW + 30 * DAY,
            ),
        )

    @pytest.mark.parametrize("status", [each.value for each in Status])
    def test_every_status_of_stripe_is_read(self, status: str) -> None:
        assert read(status=status).status == status

    def test_a_status_that_stripe_may_add_is_unknown(self) -> None:
        assert read(status="hibernating").status is Status.UNKNOWN

    def test_expanded_objects_are_read_like_their_ids(self) -> None:
        item = a_stripe_item(product={"id": "prod_team", "object": "product", "name": "Team"})

        expanded = read(customer={"id": "cus_1", "object": "customer"}, items=[item])

        assert expanded == read()

    def test_all_items_are_kept_in_their_order(self) -> None:
        many = [a_stripe_item(id=f"si_{n}", product=f"prod_{n}") for n in range(20)]

        assert [each.product_id for each in read(items=many).items] == [
            f"prod_{n}" for n in range(20)
        ]

    def test_a_metered_item_has_one_unit(self) -> None:
        items = [a_stripe_item(quantity=LEFT_OUT), a_stripe_item(quantity=None)]

        assert [each.quantity for each in read(items=items).items] == [1, 1]


class TestTheEnd:
    LATE, EARLY = NOW + 30 * DAY, NOW + 7 * DAY

    def items(self) -> list[dict[str, Any]]:
        return [
            a_stripe_item(current_period_end=seconds(self.EARLY)),
            a_stripe_item(current_period_end=seconds(self.LATE)),
        ]

    def test_cancel_at_is_the_end(self) -> None:
        assert read(cancel_at=seconds(self.EARLY)).cancel_time == self.EARLY

    def test_cancel_at_period_end_is_the_end_of_the_last_period(self) -> None:
        ending = read(cancel_at_period_end=True, items=self.items())

        assert ending.cancel_time == self.LATE

    def test_cancel_at_goes_before_the_end_of_the_period(self) -> None:
        ending = read(cancel_at=seconds(self.EARLY), cancel_at_period_end=True, items=self.items())

        assert ending.cancel_time == self.EARLY

    def test_neither_is_no_end(self) -> None:
        assert read(items=self.items()).cancel_time is None

    def test_a_period_without_an_end_gives_none(self) -> None:
        items = [a_stripe_item(current_period_end=None)]

        assert read(cancel_at_period_end=True, items=items).cancel_time is None


class TestTheFirstPayment:
    """Design: judged by the newest invoice that tells."""

    ROWS = (
        ("paid", "subscription_create", FirstPayment.CONFIRMED),
        ("paid", "subscription_cycle", FirstPayment.CONFIRMED),
        ("paid", "subscription_update", FirstPayment.CONFIRMED),
        ("open", "subscription_create", FirstPayment.PENDING),
        ("void", "subscription_create", FirstPayment.FAILED),
        ("uncollectible", "subscription_create", FirstPayment.FAILED),
        ("draft", "subscription_create", None),
        ("draft", "subscription_cycle", None),
        ("open", "subscription_cycle", None),
        ("void", "subscription_cycle", None),
        ("uncollectible", "subscription_cycle", None),
        ("open", "subscription_update", None),
        ("open", "manual", None),
        ("melted", "subscription_create", None),
        (None, "subscription_create", None),
    )

    @pytest.mark.parametrize(("status", "reason", "verdict"), ROWS)
    def test_one_invoice_tells(
        self, status: str, reason: str, verdict: FirstPayment | None
    ) -> None:
        invoice = a_stripe_invoice(status=status, billing_reason=reason)

        assert judge_first_payment([invoice]) is verdict

    @pytest.mark.parametrize(("status", "reason", "verdict"), ROWS)
    def test_an_invoice_that_tells_nothing_leaves_it_to_the_one_before(
        self, status: str, reason: str, verdict: FirstPayment | None
    ) -> None:
        draft = a_stripe_invoice(status="draft", billing_reason="subscription_cycle")
        late = a_stripe_invoice(status="open", billing_reason="subscription_cycle")
        told = a_stripe_invoice(status=status, billing_reason=reason)

        assert judge_first_payment([draft, late, told]) is verdict

    def test_the_newest_that_tells_goes_before_older_ones(self) -> None:
        bounced = a_stripe_invoice(status="void")
        renewal = a_stripe_invoice(status="paid", billing_reason="subscription_cycle")

        assert judge_first_payment([renewal, bounced]) is FirstPayment.CONFIRMED
        assert judge_first_payment([bounced, renewal]) is FirstPayment.FAILED

    def test_no_invoice_tells_nothing(self) -> None:
        assert judge_first_payment([]) is None

    @pytest.mark.parametrize(
        ("invoice", "known"),
        [
            ("in_1", FirstPayment.PENDING),
            (LEFT_OUT, FirstPayment.PENDING),
            (None, FirstPayment.CONFIRMED),
            (a_stripe_invoice(status="paid"), FirstPayment.CONFIRMED),
            (a_stripe_invoice(status="void"), FirstPayment.FAILED),
            (a_stripe_invoice(status="open"), FirstPayment.PENDING),
            (a_stripe_invoice(status="draft"), FirstPayment.PENDING),
        ],
        ids=["its id", "left out", "never billed", "paid", "void", "open", "draft"],
    )
    def test_a_subscription_tells_it_by_its_latest_invoice(
        self, invoice: object, known: FirstPayment
    ) -> None:
        assert read(latest_invoice=invoice).first_payment is known


class TestUnpaidSince:
    def test_it_is_the_start_of_the_newest_period_while_past_due(self) -> None:
        items = [
            a_stripe_item(current_period_start=seconds(NOW - 9 * DAY)),
            a_stripe_item(current_period_start=seconds(NOW - 2 * DAY)),
            a_stripe_item(current_period_start=None),
        ]

        assert read(status="past_due", items=items).unpaid_since == NOW - 2 * DAY

    @pytest.mark.parametrize("status", ["active", "unpaid", "trialing", "canceled"])
    def test_nothing_is_unpaid_in_any_other_status(self, status: str) -> None:
        assert read(status=status).unpaid_since is None


class TestBadShapes:
    @pytest.mark.parametrize(
        "overrides",
        [
            {"id": LEFT_OUT},
            {"id": ""},
            {"id": 5},
            {"id": "sub_\x00"},
            {"id": "sub_\ud800"},
            {"customer": None},
            {"customer": LEFT_OUT},
            {"customer": {"object": "customer"}},
            {"status": None},
            {"status": ["active"]},
            {"created": None},
            {"created": "yesterday"},
            {"created": 1.5},
            {"created": True},
            {"created": 10**18},
            {"created": -(10**30)},
            {"cancel_at": 10**12},
            {"trial_end": "soon"},
            {"items": None},
            {"items": {}},
            {"items": "items"},
            {"items": [None]},
            {"items": [a_stripe_item(price=None)]},
            {"items": [a_stripe_item(price={"id": "price_1"})]},
            {"items": [a_stripe_item(price={"id": 5, "product": "prod_1"})]},
            {"items": [a_stripe_item(product="")]},
            {"items": [a_stripe_item(quantity="5")]},
            {"items": [a_stripe_item(quantity=1.5)]},
            {"items": [a_stripe_item(quantity=True)]},
            {"items": [a_stripe_item(quantity=-1)]},
            {"latest_invoice": {"status": ["paid"], "billing_reason": "subscription_create"}},
        ],
        ids=str,
    )
    def test_a_subscription_that_lacks_what_all_have_is_refused(
        self, overrides: dict[str, Any]
    ) -> None:
        with pytest.raises(UnexpectedShape):
            read(**overrides)

    def test_a_part_of_the_items_is_not_taken_for_all(self) -> None:
        partial = a_stripe_subscription()
        partial["items"]["has_more"] = True

        with pytest.raises(UnexpectedShape):
            subscription_from_stripe(partial)

    def test_the_shape_of_older_api_versions_gives_items_no_period(self) -> None:
        older = a_stripe_item(current_period_start=LEFT_OUT, current_period_end=LEFT_OUT)

        subscription = read(items=[older], current_period_end=seconds(NOW))

        assert subscription.items[0].period_end is None


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "named"),
        [
            ("cus_1", "cus_1"),
            ({"id": "cus_1", "object": "customer"}, "cus_1"),
            (None, None),
            ("", None),
            ({}, None),
            ({"id": None}, None),
            (5, None),
            (["cus_1"], None),
            ("cus_\x00", None),
        ],
    )
    def test_an_object_is_named_by_its_id_or_whole(
        self, reference: object, named: str | None
    ) -> None:
        assert id_of(reference) == named

    def test_an_invoice_names_its_subscription_under_its_parent(self) -> None:
        assert subscription_of_invoice(a_stripe_invoice(subscription="sub_7")) == "sub_7"
        assert subscription_of_invoice(a_stripe_invoice(subscription={"id": "sub_7"})) == "sub_7"

    @pytest.mark.parametrize(
        "parent", [None, LEFT_OUT, {}, {"subscription_details": None}, {"quote_details": {}}]
    )
    def test_an_invoice_of_something_else_names_none(self, parent: object) -> None:
        assert subscription_of_invoice(a_stripe_invoice(parent=parent)) is None

    @pytest.mark.parametrize(
        ("metadata", "account_id"),
        [
            ({"account_id": "acct_1"}, "acct_1"),
            ({"account_id": "a" * 200}, "a" * 200),
            ({"account_id": "a" * 201}, None),
            ({"account_id": "Jenny Rosén"}, "Jenny Rosén"),
            ({"account_id": ""}, None),
            ({"account_id": 5}, None),
            ({"account_id": "a\x00b"}, None),
            ({"other": "acct_1"}, None),
            ({}, None),
            (None, None),
            ("account_id", None),
        ],
    )
    def test_metadata_names_the_account(self, metadata: object, account_id: str | None) -> None:
        assert account_of(a_stripe_subscription(metadata=metadata)) == account_id

    def test_without_metadata_there_is_no_account(self) -> None:
        assert account_of(a_stripe_subscription(metadata=LEFT_OUT)) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["paid", "open", "sub_1", "active", "past_due", "subscription_create"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "data", "price", "product", "status", "subscription"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


@st.composite
def spoiled(draw: st.DrawFn, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace some value, at any depth, by any other."""
    copy = dict(whole)
    name = draw(st.sampled_from(sorted(copy)))
    inner = copy[name]
    if isinstance(inner, dict) and inner and draw(st.booleans()):
        copy[name] = draw(spoiled(inner))
    elif isinstance(inner, list) and inner and isinstance(inner[0], dict) and draw(st.booleans()):
        copy[name] = [draw(spoiled(inner[0]))]
    else:
        copy[name] = draw(json_values)
    return copy


def is_kept_by_every_database(text: str) -> bool:
    return text != "" and "\x00" not in text and text.encode("utf-8", "replace").decode() == text


@given(spoiled(a_stripe_subscription(latest_invoice=a_stripe_invoice())) | json_objects)
def test_any_json_is_a_whole_subscription_or_refused(raw: Mapping[str, Any]) -> None:
    try:
        subscription = subscription_from_stripe(raw)
    except UnexpectedShape:
        return
    ids = [subscription.subscription_id, subscription.customer_id]
    ids += [each for item in subscription.items for each in (item.price_id, item.product_id)]
    assert all(is_kept_by_every_database(each) for each in ids)
    assert all(type(item.quantity) is int for item in subscription.items)


def _deliver(raw: Mapping[str, Any]) -> object:
    return delivery_from_stripe(raw, b"", received=NOW)


def _judge(raw: Mapping[str, Any]) -> object:
    return judge_first_payment([raw])


READERS: list[tuple[Callable[[Mapping[str, Any]], object], Mapping[str, Any]]] = [
    (_deliver, a_stripe_event()),
    (_judge, a_stripe_invoice(status="open")),
    (subscription_of_invoice, a_stripe_invoice()),
    (account_of, a_stripe_subscription()),
    (id_of, a_stripe_subscription()),
]


@pytest.mark.parametrize(
    ("reader", "whole"), READERS, ids=lambda each: getattr(each, "__name__", "")
)
def test_any_json_is_read_or_refused_and_nothing_else(
    reader: Callable[[Mapping[str, Any]], object], whole: Mapping[str, Any]
) -> None:
    @given(spoiled(whole) | json_objects)
    def holds(raw: Mapping[str, Any]) -> None:
        try:
            read = reader(raw)
        except UnexpectedShape:
            return
        assert read is None or read == reader(raw)

    holds()


@given(json_values)
def test_a_time_is_a_number_of_seconds_or_refused(value: object) -> None:
    try:
        time = from_stripe.moment(value)
    except UnexpectedShape:
        return
    assert time.utcoffset() == timedelta(0)
    assert seconds(time) == value
