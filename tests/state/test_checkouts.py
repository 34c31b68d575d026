"""Checkout Sessions: what has ended stays ended, what is paid stays paid."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import checkouts
from subscription_state.checkouts import CheckoutRequest, CheckoutSession, Noted
from subscription_state.database import Database
from tests.builders import DAY, NOW, SECOND, a_checkout_session


async def save(database: Database, session: CheckoutSession) -> None:
    await database.write(lambda connection: checkouts.save(connection, session))


async def get(database: Database, session_id: str = "cs_test_1") -> CheckoutSession | None:
    async with database.read() as connection:
        return await checkouts.get(connection, session_id)


async def note(
    database: Database,
    status: str,
    payment_status: str,
    subscription_id: str | None = None,
    *,
    session_id: str = "cs_test_1",
) -> bool:
    noted = Noted(
        session_id=session_id,
        status=status,
        payment_status=payment_status,
        subscription_id=subscription_id,
    )
    return await database.write(lambda connection: checkouts.note_status(connection, noted))


async def test_a_session_is_kept_whole(database: Database) -> None:
    await save(database, a_checkout_session())

    assert await get(database) == a_checkout_session()
    assert await get(database, "cs_test_2") is None


async def test_a_session_that_is_saved_again_is_replaced(database: Database) -> None:
    await save(database, a_checkout_session())
    await save(database, a_checkout_session(status="expired"))

    assert await get(database) == a_checkout_session(status="expired")


async def test_only_an_accounts_own_unended_sessions_can_still_be_paid(
    database: Database,
) -> None:
    await save(database, a_checkout_session(session_id="cs_open"))
    await save(database, a_checkout_session(session_id="cs_ended", status="complete"))
    await save(database, a_checkout_session(session_id="cs_late", expire_time=NOW))
    await save(database, a_checkout_session(session_id="cs_other", account_id="acct_2"))

    async with database.read() as connection:
        found = await checkouts.open_of(connection, "acct_1", now=NOW)

    assert [each.session_id for each in found] == ["cs_open"]


LATE_NEWS = [
    (("complete", "paid"), ("complete", "unpaid")),
    (("complete", "paid"), ("open", "unpaid")),
    (("complete", "unpaid"), ("open", "unpaid")),
    (("complete", "unpaid"), ("expired", "unpaid")),
    (("expired", "unpaid"), ("open", "unpaid")),
]


@pytest.mark.parametrize(("before", "news"), LATE_NEWS)
async def test_an_answer_that_was_overtaken_is_not_saved(
    database: Database, before: tuple[str, str], news: tuple[str, str]
) -> None:
    """Stripe answered before an event told more, and the answer is saved after it."""

    def session(known: tuple[str, str], subscription_id: str | None) -> CheckoutSession:
        status, payment_status = known
        return a_checkout_session(
            status=status, payment_status=payment_status, subscription_id=subscription_id
        )

    await save(database, session(before, "sub_1"))
    await save(database, session(news, None))

    assert await get(database) == session(before, "sub_1")


async def test_what_is_saved_by_who_does_not_know_its_form_leaves_the_form(
    database: Database,
) -> None:
    await save(database, a_checkout_session())
    await save(database, a_checkout_session(status="complete", fingerprint=""))

    assert await get(database) == a_checkout_session(status="complete")


@pytest.mark.parametrize(
    ("before", "news", "after"),
    [
        (("open", "unpaid"), ("complete", "paid"), ("complete", "paid")),
        (("open", "unpaid"), ("complete", "unpaid"), ("complete", "unpaid")),
        (("open", "unpaid"), ("expired", "unpaid"), ("expired", "unpaid")),
        (("complete", "unpaid"), ("complete", "paid"), ("complete", "paid")),
        # The news that came late, or out of order.
        (("complete", "paid"), ("complete", "unpaid"), ("complete", "paid")),
        (("complete", "paid"), ("open", "unpaid"), ("complete", "paid")),
        (("complete", "unpaid"), ("open", "unpaid"), ("complete", "unpaid")),
        (("complete", "unpaid"), ("expired", "unpaid"), ("complete", "unpaid")),
        (("expired", "unpaid"), ("open", "unpaid"), ("expired", "unpaid")),
    ],
)
async def test_what_has_ended_never_opens_again_and_what_is_paid_stays_paid(
    database: Database,
    before: tuple[str, str],
    news: tuple[str, str],
    after: tuple[str, str],
) -> None:
    status, payment_status = before
    await save(database, a_checkout_session(status=status, payment_status=payment_status))

    await note(database, *news, "sub_1")

    session = await get(database)
    assert session is not None
    assert (session.status, session.payment_status) == after
    assert session.subscription_id == ("sub_1" if after == news else None)


async def test_a_session_that_was_not_made_here_is_told_apart(database: Database) -> None:
    await save(database, a_checkout_session())

    assert await note(database, "complete", "paid", session_id="cs_foreign") is False
    assert await note(database, "complete", "paid") is True


class TestRequests:
    FIRST = CheckoutRequest(
        request_id="req_1",
        account_id="acct_1",
        fingerprint="one team",
        session_id=None,
        reused=False,
    )

    async def begin(self, database: Database, fingerprint: str = "one team") -> CheckoutRequest:
        return await database.write(
            lambda connection: checkouts.begin_request(
                connection, "req_1", account_id="acct_1", fingerprint=fingerprint, now=NOW
            )
        )

    async def test_the_second_one_with_an_id_is_given_the_first(self, database: Database) -> None:
        assert await self.begin(database) == self.FIRST
        assert await self.begin(database, "another form") == self.FIRST

    async def test_of_many_at_once_all_are_given_the_same(self, database: Database) -> None:
        begun = await asyncio.gather(*(self.begin(database, f"form {n}") for n in range(6)))

        assert len(set(begun)) == 1

    async def test_once_stripe_has_answered_the_session_is_remembered(
        self, database: Database
    ) -> None:
        await self.begin(database)

        async def finish(connection: AsyncConnection) -> None:
            await checkouts.finish_request(connection, "req_1", session_id="cs_test_1", reused=True)

        await database.write(finish)

        answered = replace(self.FIRST, session_id="cs_test_1", reused=True)
        assert await self.begin(database) == answered
        async with database.read() as connection:
            assert await checkouts.request(connection, "req_1") == answered
            assert await checkouts.request(connection, "req_2") is None

    async def test_one_that_stripe_refused_may_come_again(self, database: Database) -> None:
        await self.begin(database)

        await database.write(lambda connection: checkouts.drop_request(connection, "req_1"))

        assert (await self.begin(database, "put right")).fingerprint == "put right"

    async def test_one_that_was_answered_is_not_forgotten(self, database: Database) -> None:
        await self.begin(database)

        async def finish_and_drop(connection: AsyncConnection) -> None:
            await checkouts.finish_request(
                connection, "req_1", session_id="cs_test_1", reused=False
            )
            await checkouts.drop_request(connection, "req_1")

        await database.write(finish_and_drop)

        assert (await self.begin(database)).session_id == "cs_test_1"


async def test_an_expired_session_is_open_to_the_second(database: Database) -> None:
    await save(database, a_checkout_session(expire_time=NOW + DAY))

    async with database.read() as connection:
        before = await checkouts.open_of(connection, "acct_1", now=NOW + DAY - SECOND)
        after = await checkouts.open_of(connection, "acct_1", now=NOW + DAY)

    assert (len(before), len(after)) == (1, 0)
