"""The decision, held against the design's table, and its one promise about time."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscription_state.entitlements import (
    ENTITLING,
    Decision,
    Policy,
    Reason,
    Subject,
    decide,
    subjects_of,
)
from subscription_state.model import AccountState, FirstPayment, Status, Subscription
from tests.builders import (
    DAY,
    NOW,
    SECOND,
    a_catalog,
    a_grant,
    a_product,
    a_subscription,
    an_account,
    an_item,
)

REPORTS = Subject(feature="reports")
TEAM = Subject(product_id="prod_team")
CATALOG = a_catalog(
    a_product("prod_team", "reports"),
    a_product("prod_plus", "reports", "export"),
    a_product("prod_other", "chat"),
)
DENY, ALLOW = Policy(), Policy(pending_entitles=True)


def ask(
    account: AccountState,
    subject: Subject = REPORTS,
    *,
    policy: Policy = DENY,
    now: datetime = NOW,
) -> Decision:
    return decide(account, subject, catalog=CATALOG, policy=policy, now=now)


# The table, written out a second time: what each status means while no time has run out.
FIRST_PAYMENT_DECIDES = {
    (FirstPayment.CONFIRMED, False): "ACTIVE",
    (FirstPayment.CONFIRMED, True): "ACTIVE",
    (FirstPayment.PENDING, False): "PAYMENT_PENDING",
    (FirstPayment.PENDING, True): "ACTIVE",
    (FirstPayment.FAILED, False): "PAYMENT_FAILED",
    (FirstPayment.FAILED, True): "PAYMENT_FAILED",
}
STATUS_DECIDES = {
    Status.TRIALING: "TRIALING",
    Status.PAST_DUE: "GRACE_PERIOD",
    Status.UNPAID: "UNPAID",
    Status.CANCELED: "CANCELED",
    Status.INCOMPLETE: "INCOMPLETE",
    Status.INCOMPLETE_EXPIRED: "INCOMPLETE",
    Status.PAUSED: "PAUSED",
    Status.UNKNOWN: "UNKNOWN_STATUS",
}
ENTITLED = {"ACTIVE", "TRIALING", "GRACE_PERIOD", "GRANT"}
#: A moment just before, at and just after the one that is asked about; None: there is none.
ENDS = (None, -SECOND, timedelta(0), SECOND)


def expected(
    status: Status,
    payment: FirstPayment,
    *,
    pending_entitles: bool,
    trial: timedelta | None,
    grace: timedelta | None,
    cancel: timedelta | None,
) -> str:
    """Give the reason; each end is told by how far away it is, none by None."""
    if cancel is not None and cancel <= timedelta(0):
        return "CANCELED"
    if status is Status.ACTIVE:
        return FIRST_PAYMENT_DECIDES[payment, pending_entitles]
    if status is Status.TRIALING and trial is not None and trial <= timedelta(0):
        return "PAYMENT_PENDING"
    if status is Status.PAST_DUE and (grace is None or grace <= timedelta(0)):
        return "PAST_DUE"
    return STATUS_DECIDES[status]


@pytest.mark.parametrize("pending_entitles", [False, True])
@pytest.mark.parametrize("payment", FirstPayment)
@pytest.mark.parametrize("status", Status)
def test_every_status_means_what_the_table_says_before_at_and_after_every_end(
    status: Status, payment: FirstPayment, *, pending_entitles: bool
) -> None:
    policy = Policy(grace=3 * DAY, pending_entitles=pending_entitles)

    for trial, grace, cancel in itertools.product(ENDS, repeat=3):
        subscription = a_subscription(
            status=status,
            first_payment=payment,
            trial_end=None if trial is None else NOW + trial,
            unpaid_since=None if grace is None else NOW + grace - 3 * DAY,
            cancel_time=None if cancel is None else NOW + cancel,
        )
        ends = {"trial": trial, "grace": grace, "cancel": cancel}

        decision = ask(an_account(subscription), policy=policy)

        reason = expected(status, payment, pending_entitles=pending_entitles, **ends)
        assert (decision.reason, decision.entitled) == (reason, reason in ENTITLED), ends
        assert decision.status is status
        assert decision.quantity == (1 if reason in ENTITLED else 0)


def test_every_status_of_the_model_is_in_the_table() -> None:
    assert {Status.ACTIVE, *STATUS_DECIDES} == set(Status)


@pytest.mark.parametrize("raw", ["", "Active", "active ", "trialing_v2", "past-due"])
def test_a_status_that_stripe_may_add_entitles_nobody(raw: str) -> None:
    decision = ask(an_account(a_subscription(status=Status(raw))), policy=ALLOW)

    assert (decision.entitled, decision.reason) == (False, Reason.UNKNOWN_STATUS)


def test_a_metered_item_without_units_still_entitles() -> None:
    decision = ask(an_account(a_subscription(items=(an_item(quantity=0),))))

    assert (decision.entitled, decision.quantity) == (True, 0)


class TestTheUnion:
    def test_a_subscription_that_ended_takes_nothing_from_one_that_lives(self) -> None:
        ended = a_subscription(subscription_id="sub_old", status=Status.CANCELED)
        living = a_subscription(subscription_id="sub_new")

        for account in (an_account(ended, living), an_account(living, ended)):
            decision = ask(account)

            assert (decision.entitled, decision.subscription_id) == (True, "sub_new")

    def test_a_grant_that_ended_takes_nothing_from_a_subscription(self) -> None:
        over = a_grant(expire_time=NOW)

        decision = ask(an_account(a_subscription(), grants=(over,)))

        assert (decision.reason, decision.grant_id) == (Reason.ACTIVE, "")

    def test_a_grant_outlives_the_subscription(self) -> None:
        account = an_account(a_subscription(status=Status.CANCELED), grants=(a_grant(),))

        decision = ask(account)

        assert (decision.reason, decision.grant_id) == (Reason.GRANT, "grant_1")
        assert decision.subscription_id == ""

    def test_units_of_all_entitling_subscriptions_are_one_pool(self) -> None:
        account = an_account(
            a_subscription(subscription_id="sub_1", items=(an_item(quantity=3),)),
            a_subscription(
                subscription_id="sub_2",
                status=Status.TRIALING,
                items=(
                    an_item(product_id="prod_plus", quantity=4),
                    an_item(product_id="prod_plus", price_id="price_more", quantity=5),
                    an_item(product_id="prod_other", quantity=100),
                ),
            ),
            a_subscription(
                subscription_id="sub_3", status=Status.UNPAID, items=(an_item(quantity=1000),)
            ),
            grants=(a_grant(),),
        )

        assert ask(account).quantity == 3 + 4 + 5
        assert ask(account, Subject(product_id="prod_plus")).quantity == 4 + 5

    @pytest.mark.parametrize(
        ("better", "worse"),
        list(
            itertools.pairwise(
                [
                    {"status": Status.ACTIVE},
                    {"status": Status.TRIALING},
                    {"status": Status.PAST_DUE, "unpaid_since": NOW},
                    {"status": Status.ACTIVE, "first_payment": FirstPayment.PENDING},
                    {"status": Status.PAST_DUE, "unpaid_since": NOW - 9 * DAY},
                    {"status": Status.PAUSED},
                    {"status": Status.INCOMPLETE},
                    {"status": Status.ACTIVE, "first_payment": FirstPayment.FAILED},
                    {"status": Status.UNPAID},
                    {"status": Status.UNKNOWN},
                    {"status": Status.CANCELED},
                ]
            )
        ),
        ids=lambda each: each["status"],
    )
    def test_the_answer_nearest_to_entitled_is_given(
        self, better: dict[str, object], worse: dict[str, object]
    ) -> None:
        # The better one has the id that comes last, so the order of ids does not help it.
        first = a_subscription(subscription_id="sub_z", **better)
        second = a_subscription(subscription_id="sub_a", **worse)

        for account in (an_account(first, second), an_account(second, first)):
            assert ask(account).subscription_id == "sub_z"

    def test_a_grant_stands_between_a_trial_and_grace(self) -> None:
        trial = a_subscription(status=Status.TRIALING)
        late = a_subscription(status=Status.PAST_DUE, unpaid_since=NOW)

        assert ask(an_account(trial, grants=(a_grant(),))).reason is Reason.TRIALING
        assert ask(an_account(late, grants=(a_grant(),))).reason is Reason.GRANT

    def test_of_equal_answers_the_same_one_is_given_whatever_the_order(self) -> None:
        one, two = (a_subscription(subscription_id=f"sub_{n}") for n in (1, 2))

        assert ask(an_account(one, two)) == ask(an_account(two, one))


class TestGraceOfProducts:
    """`prod_team` forgives by the policy, `prod_plus` for a day, `prod_other` not at all."""

    CATALOG = a_catalog(
        a_product("prod_team", "reports"),
        a_product("prod_plus", "reports", "export", grace_days=1),
        a_product("prod_other", "export", grace_days=0),
    )
    LATE = a_subscription(
        status=Status.PAST_DUE,
        unpaid_since=NOW,
        items=(
            an_item(quantity=1),
            an_item(product_id="prod_plus", quantity=2),
            an_item(product_id="prod_other", quantity=4),
        ),
    )

    def ask(self, subject: Subject, now: datetime) -> Decision:
        account = an_account(self.LATE)
        return decide(account, subject, catalog=self.CATALOG, policy=DENY, now=now)

    @pytest.mark.parametrize(
        ("product_id", "days"), [("prod_team", 3), ("prod_plus", 1), ("prod_other", 0)]
    )
    def test_a_products_own_days_go_before_the_policys(self, product_id: str, days: int) -> None:
        subject, end = Subject(product_id=product_id), NOW + days * DAY

        assert self.ask(subject, end).reason is Reason.PAST_DUE
        if days:
            before = self.ask(subject, end - SECOND)
            assert (before.reason, before.valid_until) == (Reason.GRACE_PERIOD, end)

    def test_a_feature_is_given_as_long_as_one_product_forgives(self) -> None:
        first, later = (self.ask(REPORTS, NOW + days * DAY) for days in (0, 1))

        assert (first.reason, first.quantity, first.valid_until) == (
            Reason.GRACE_PERIOD, 1 + 2, NOW + DAY,
        )  # fmt: skip
        assert (later.reason, later.quantity, later.valid_until) == (
            Reason.GRACE_PERIOD, 1, NOW + 3 * DAY,
        )  # fmt: skip

    def test_one_product_that_forgives_nothing_takes_nothing_from_another(self) -> None:
        assert self.ask(Subject(feature="export"), NOW).quantity == 2


def test_whatever_an_account_may_have_is_listed_once() -> None:
    account = an_account(
        a_subscription(items=(an_item(), an_item(product_id="prod_unmirrored"))),
        a_subscription(subscription_id="sub_2", items=(an_item(product_id="prod_plus"),)),
        grants=(a_grant(feature="beta"), a_grant(grant_id="grant_2", feature="reports")),
    )

    assert subjects_of(account, CATALOG) == [
        Subject(feature="beta"),
        Subject(feature="export"),
        Subject(feature="reports"),
        Subject(product_id="prod_plus"),
        Subject(product_id="prod_team"),
        Subject(product_id="prod_unmirrored"),
    ]


class TestNothingEntitles:
    def test_an_account_without_anything_has_no_subscription(self) -> None:
        assert ask(an_account()) == Decision(reason=Reason.NO_SUBSCRIPTION)

    def test_a_plan_without_the_feature_is_not_in_plan(self) -> None:
        account = an_account(a_subscription(items=(an_item(product_id="prod_other"),)))

        assert ask(account).reason is Reason.NOT_IN_PLAN
        assert ask(account, TEAM).reason is Reason.NOT_IN_PLAN

    def test_an_ended_plan_without_the_feature_is_no_subscription(self) -> None:
        ended = a_subscription(status=Status.CANCELED, items=(an_item(product_id="prod_other"),))

        assert ask(an_account(ended)).reason is Reason.NO_SUBSCRIPTION

    def test_an_ended_plan_with_the_feature_says_so_rather_than_not_in_plan(self) -> None:
        ended = a_subscription(subscription_id="sub_1", status=Status.CANCELED)
        other = a_subscription(subscription_id="sub_2", items=(an_item(product_id="prod_other"),))

        assert ask(an_account(ended, other)).reason is Reason.CANCELED

    @pytest.mark.parametrize(
        "subject", [Subject(feature="unheard"), Subject(product_id="prod_unheard")]
    )
    def test_a_subject_that_nothing_knows_is_unknown(self, subject: Subject) -> None:
        assert ask(an_account(a_subscription()), subject).reason is Reason.UNKNOWN_SUBJECT

    def test_a_feature_that_was_only_ever_granted_is_known(self) -> None:
        over = a_grant(feature="beta", expire_time=NOW)

        decision = ask(an_account(grants=(over,)), Subject(feature="beta"))

        assert decision.reason is Reason.NO_SUBSCRIPTION

    def test_a_grant_of_a_feature_says_nothing_about_a_product_of_that_name(self) -> None:
        account = an_account(grants=(a_grant(feature="prod_team"),))

        assert not ask(account, TEAM).entitled

    def test_a_product_that_is_paid_for_entitles_before_the_mirror_knows_it(self) -> None:
        account = an_account(a_subscription(items=(an_item(product_id="prod_new"),)))

        decision = ask(account, Subject(product_id="prod_new"))

        assert decision.reason is Reason.ACTIVE

    def test_nothing_that_a_deleted_customer_paid_for_holds_but_grants_do(self) -> None:
        deleted = an_account(a_subscription(), customer_deleted=True)
        granted = an_account(a_subscription(), customer_deleted=True, grants=(a_grant(),))
        elsewhere = an_account(
            a_subscription(items=(an_item(product_id="prod_other"),)), customer_deleted=True
        )

        assert ask(deleted).reason is Reason.CANCELED
        assert ask(granted).reason is Reason.GRANT
        assert ask(elsewhere).reason is Reason.NO_SUBSCRIPTION


class TestGrants:
    @pytest.mark.parametrize("end", ["expire_time", "revoke_time"])
    def test_a_grant_ends_to_the_second(self, end: str) -> None:
        account = an_account(grants=(a_grant(**{end: NOW}),))

        before, at = ask(account, now=NOW - SECOND), ask(account, now=NOW)

        assert (before.entitled, before.valid_until) == (True, NOW)
        assert (at.entitled, at.valid_until) == (False, None)

    def test_the_longer_of_two_grants_holds(self) -> None:
        short = a_grant(grant_id="grant_1", expire_time=NOW)
        long = a_grant(grant_id="grant_2", expire_time=NOW + DAY)

        decision = ask(an_account(grants=(short, long)))

        assert (decision.entitled, decision.grant_id) == (True, "grant_2")
        assert decision.valid_until == NOW + DAY


class TestValidUntil:
    @pytest.mark.parametrize(
        ("subscription", "until"),
        [
            ({"status": Status.TRIALING, "trial_end": NOW + DAY}, NOW + DAY),
            ({"cancel_time": NOW + DAY}, NOW + DAY),
            ({"status": Status.PAST_DUE, "unpaid_since": NOW}, NOW + 3 * DAY),
            ({"status": Status.ACTIVE, "trial_end": NOW + DAY}, None),
            ({"status": Status.UNPAID, "trial_end": NOW + DAY}, None),
            # What is denied already changes its reason when the end comes.
            ({"status": Status.UNPAID, "cancel_time": NOW + DAY}, NOW + DAY),
            ({"status": Status.CANCELED, "cancel_time": NOW + DAY}, None),
        ],
    )
    def test_it_is_the_moment_at_which_the_clock_changes_the_answer(
        self, subscription: dict[str, object], until: datetime | None
    ) -> None:
        assert ask(an_account(a_subscription(**subscription))).valid_until == until

    def test_an_end_that_another_subscription_covers_changes_nothing(self) -> None:
        ending = a_subscription(subscription_id="sub_9", status=Status.TRIALING)
        staying = a_subscription(subscription_id="sub_1")

        decision = ask(an_account(ending, staying))

        assert decision.valid_until is None

    def test_units_that_end_change_the_answer(self) -> None:
        ending = a_subscription(subscription_id="sub_9", cancel_time=NOW + DAY)
        staying = a_subscription(subscription_id="sub_1")

        decision = ask(an_account(ending, staying))

        assert (decision.quantity, decision.valid_until) == (2, NOW + DAY)


# Few moments, close together, so that ends coincide and touch the moment that is asked about.
moments = st.integers(-3, 6).map(lambda n: NOW + n * SECOND)
maybe_moments = st.none() | moments
subscriptions = st.builds(
    a_subscription,
    subscription_id=st.sampled_from(["sub_1", "sub_2", "sub_3"]),
    status=st.sampled_from(Status),
    first_payment=st.sampled_from(FirstPayment),
    trial_end=maybe_moments,
    cancel_time=maybe_moments,
    unpaid_since=maybe_moments,
    items=st.lists(
        st.builds(
            an_item,
            product_id=st.sampled_from(["prod_team", "prod_plus", "prod_other", "prod_new"]),
            quantity=st.integers(0, 3),
        ),
        max_size=2,
    ).map(tuple),
)
grants = st.builds(
    a_grant,
    grant_id=st.sampled_from(["grant_1", "grant_2"]),
    feature=st.sampled_from(["reports", "beta"]),
    expire_time=maybe_moments,
    revoke_time=maybe_moments,
)
accounts = st.builds(
    AccountState,
    account_id=st.just("acct_1"),
    subscriptions=st.lists(
        subscriptions, max_size=3, unique_by=lambda each: each.subscription_id
    ).map(tuple),
    grants=st.lists(grants, max_size=2, unique_by=lambda each: each.grant_id).map(tuple),
    customer_deleted=st.sampled_from([False, False, True]),
)
subjects = st.sampled_from(
    [REPORTS, TEAM, Subject(feature="beta"), Subject(product_id="prod_new"), Subject(feature="no")]
)
policies = st.builds(
    Policy,
    grace=st.integers(0, 4).map(lambda n: n * SECOND),
    pending_entitles=st.booleans(),
)


def without_time(decision: Decision) -> tuple[object, ...]:
    return (
        decision.reason,
        decision.subscription_id,
        decision.grant_id,
        decision.status,
        decision.quantity,
    )


def all_ends(account: AccountState, policy: Policy) -> set[datetime]:
    """List, apart from the code under test, every moment that an account names."""
    ends: set[datetime | None] = set()
    for each in account.subscriptions:
        ends |= {each.cancel_time, each.trial_end}
        ends.add(each.unpaid_since and each.unpaid_since + policy.grace)
    for grant in account.grants:
        ends |= {grant.expire_time, grant.revoke_time}
    return {end for end in ends if end is not None}


@given(accounts, subjects, policies, moments)
def test_a_decision_holds_until_its_end_and_not_one_moment_longer(
    account: AccountState, subject: Subject, policy: Policy, now: datetime
) -> None:
    def at(moment: datetime) -> Decision:
        return ask(account, subject, policy=policy, now=moment)

    decision = at(now)

    until = decision.valid_until
    nearby = {
        end + shift
        for end in all_ends(account, policy)
        for shift in (-SECOND, -timedelta.resolution, timedelta(0), SECOND)
    }
    for moment in sorted(moment for moment in nearby if now <= moment):
        if until is None or moment < until:
            assert without_time(at(moment)) == without_time(decision), moment
            assert at(moment).valid_until == until
    if until is not None:
        assert until > now
        assert without_time(at(until)) != without_time(decision)


@given(accounts, accounts, subjects, policies, moments)
def test_whatever_is_added_never_takes_away(
    account: AccountState, added: AccountState, subject: Subject, policy: Policy, now: datetime
) -> None:
    both = AccountState(
        account_id="acct_1",
        subscriptions=(*account.subscriptions, *map(_renamed, added.subscriptions)),
        grants=(*account.grants, *added.grants),
        customer_deleted=account.customer_deleted,
    )

    alone = ask(account, subject, policy=policy, now=now)
    together = ask(both, subject, policy=policy, now=now)

    assert together.entitled or not alone.entitled
    assert together.quantity >= alone.quantity


def _renamed(subscription: Subscription) -> Subscription:
    return a_subscription(
        **{
            name: getattr(subscription, name)
            for name in Subscription.__dataclass_fields__
            if name != "subscription_id"
        },
        subscription_id=f"{subscription.subscription_id}_too",
    )


@given(accounts, subjects, policies, moments)
def test_an_answer_rests_on_what_is_there_and_says_entitled_only_for_entitling_reasons(
    account: AccountState, subject: Subject, policy: Policy, now: datetime
) -> None:
    decision = ask(account, subject, policy=policy, now=now)

    assert decision.entitled == (decision.reason in ENTITLING)
    assert decision.entitled or decision.quantity == 0
    held = {each.subscription_id for each in account.subscriptions}
    assert decision.subscription_id in {"", *held}
    assert decision.grant_id in {"", *(each.grant_id for each in account.grants)}
    assert not (decision.subscription_id and decision.grant_id)
