import pytest
from grpc import StatusCode

import paidup
from paidup import PaymentStatus, SessionStatus, UiMode
from paidup.v1 import error_reason_pb2 as reasons
from tests.service.shop import EMAIL, reason_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DECLINED_CARD = "4000000000009995"


async def test_an_open_session_can_be_mounted_again(shop):
    session = await shop.checkout()

    status = await shop.status(session.session_id)

    assert status.status == SessionStatus.SESSION_STATUS_OPEN
    assert status.payment_status == PaymentStatus.PAYMENT_STATUS_UNPAID
    assert status.client_secret == session.client_secret
    assert not status.customer_email
    assert not status.subscription_id


async def test_an_open_hosted_session_gives_its_url(shop):
    session = await shop.checkout(
        ui_mode=UiMode.UI_MODE_HOSTED_PAGE, success_url="http://localhost:4242/thanks"
    )

    assert (await shop.status(session.session_id)).url == session.url


async def test_a_declined_payment_leaves_the_session_open(shop):
    session = await shop.checkout()

    outcome = await shop.pay(session.session_id, number=DECLINED_CARD)

    assert (outcome["outcome"], outcome["decline_code"]) == ("declined", "insufficient_funds")
    status = await shop.status(session.session_id)
    assert status.status == SessionStatus.SESSION_STATUS_OPEN
    assert (await shop.until("INCOMPLETE")).entitled is False


async def test_a_complete_session_tells_who_paid_for_what(shop):
    session = await shop.checkout()
    await shop.pay(session.session_id)

    status = await shop.status(session.session_id)

    assert status.status == SessionStatus.SESSION_STATUS_COMPLETE
    assert status.payment_status == PaymentStatus.PAYMENT_STATUS_PAID
    assert status.customer_email == EMAIL
    assert status.subscription_id.startswith("sub_")
    assert not status.client_secret


async def test_a_trial_needs_no_payment(shop):
    session = await shop.checkout(trial_period_days=14)
    await shop.pay(session.session_id)

    status = await shop.status(session.session_id)

    assert status.payment_status == PaymentStatus.PAYMENT_STATUS_NO_PAYMENT_REQUIRED


async def test_with_all_webhooks_blocked_a_check_of_the_answers_revision_is_right(shop, faults):
    await faults({"webhooks": {"blocked": True}})
    session = await shop.checkout()
    await shop.pay(session.session_id)
    before = await shop.reason()

    status = await shop.status(session.session_id)
    after = await shop.check(at_least_revision=status.revision)

    assert before == "NO_SUBSCRIPTION"
    assert status.status == SessionStatus.SESSION_STATUS_COMPLETE
    assert (after.entitled, reason_of(after)) == (True, "ACTIVE")


async def test_with_webhooks_alone_a_check_becomes_right(shop):
    session = await shop.checkout()
    await shop.pay(session.session_id)

    assert (await shop.until("ACTIVE")).entitled


async def test_an_expired_session_says_so(shop, at_stripe):
    session = await shop.checkout()
    await at_stripe.v1.checkout.sessions.expire_async(session.session_id)

    first = await shop.status(session.session_id)
    again = await shop.status(session.session_id)

    assert first.status == again.status == SessionStatus.SESSION_STATUS_EXPIRED
    assert not first.client_secret


@pytest.mark.parametrize("whose", ["another account's", "nobody's"])
async def test_a_session_that_is_not_the_accounts_is_not_found(shop, client, whose):
    session = await shop.checkout()
    session_id = session.session_id if whose == "another account's" else "cs_test_nobody"

    with pytest.raises(paidup.NotFound) as refused:
        await client.get_session_status(account_id="somebody-else", session_id=session_id)

    assert refused.value.code is StatusCode.NOT_FOUND
    assert refused.value.reason == reasons.ERROR_REASON_SESSION_NOT_FOUND
    assert refused.value.metadata == {"session_id": session_id}
