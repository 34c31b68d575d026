from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, GOOD, HOUR, NO_FUNDS, Shop


async def test_cancelling_writes_cancel_at_and_ends_at_the_period_end(shop: Shop) -> None:
    subscription = await shop.subscribe()
    end = subscription["items"].data[0].current_period_end
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/cancel", {})
    scheduled = await shop.subscription(subscription.id)
    await shop.advance(end - await shop.now())
    ended = await shop.subscription(subscription.id)

    (deleted,) = await shop.events(type="customer.subscription.deleted")
    assert (scheduled.status, scheduled.cancel_at) == ("active", end)
    assert scheduled.cancel_at_period_end is False
    assert scheduled.cancellation_details.reason == "cancellation_requested"
    assert (ended.status, ended.ended_at) == ("canceled", end)
    assert deleted.created == end
    assert len((await shop.stripe.invoices.list_async()).data) == 1


async def test_the_older_flag_is_a_setting(shop: Shop) -> None:
    await shop.control("/settings", {"portal_cancels_with": "cancel_at_period_end"}, method="PUT")
    subscription = await shop.subscribe()

    await shop.control(f"/portal/{await shop.portal(subscription.customer)}/cancel", {})

    assert (await shop.subscription(subscription.id)).cancel_at_period_end is True


async def test_feedback_comes_as_a_second_update(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)

    await shop.control(
        f"/portal/{portal}/cancel", {"feedback": "too_expensive", "comment": "sorry"}
    )

    events = (await shop.events(type="customer.subscription.updated"))[-2:]
    assert "cancel_at" in events[0].data.previous_attributes
    assert events[1].data.previous_attributes.to_dict() == {
        "cancellation_details": {"comment": None, "feedback": None}
    }


async def test_renewing_takes_the_cancellation_back(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)
    await shop.control(f"/portal/{portal}/cancel", {})

    await shop.control(f"/portal/{portal}/renew", {})
    await shop.advance(40 * DAY)

    renewed = await shop.subscription(subscription.id)
    assert (renewed.status, renewed.cancel_at, renewed.canceled_at) == ("active", None, None)


async def test_cancelling_immediately_ends_at_once(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)

    answer = await shop.control(f"/portal/{portal}/cancel", {"immediately": True})

    assert answer == {"subscription": subscription.id, "status": "canceled"}
    assert (await shop.subscription(subscription.id)).status == "canceled"


async def test_an_upgrade_is_prorated_and_charged(shop: Shop) -> None:
    product = await shop.product()
    small, large = await shop.price(product, 1000), await shop.price(product, 3000)
    subscription = await shop.subscribe(small)
    portal = await shop.portal(subscription.customer)
    item = subscription["items"].data[0]
    period = item.current_period_end - item.current_period_start
    await shop.advance(period // 2)

    await shop.control(f"/portal/{portal}/update", {"price": large.id})

    changed = await shop.subscription(subscription.id)
    invoice = await shop.stripe.invoices.retrieve_async(changed.latest_invoice)
    assert changed["items"].data[0].price.id == large.id
    assert changed["items"].data[0].id == item.id
    assert invoice.billing_reason == "subscription_update"
    assert invoice.total == pytest.approx(1000, abs=2)
    assert [line.parent.subscription_item_details.proration for line in invoice.lines] == [
        True,
        True,
    ]
    assert (await shop.event_types()).count("invoiceitem.created") == 2


async def test_a_downgrade_leaves_credit_for_the_next_invoice(shop: Shop) -> None:
    product = await shop.product()
    large, small = await shop.price(product, 3000), await shop.price(product, 1000)
    subscription = await shop.subscribe(large)
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/update", {"price": small.id})
    customer = await shop.stripe.customers.retrieve_async(subscription.customer)
    await shop.advance(32 * DAY)

    renewal = (await shop.stripe.invoices.list_async()).data[0]
    assert customer.balance == pytest.approx(-2000, abs=2)
    assert (renewal.status, renewal.total, renewal.amount_due) == ("paid", 1000, 0)


async def test_a_quantity_can_be_changed_alone(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/update", {"quantity": 5})

    (event,) = [
        event
        for event in await shop.events(type="customer.subscription.updated")
        if "items" in event.data.previous_attributes
    ]
    assert (await shop.subscription(subscription.id))["items"].data[0].quantity == 5
    assert event.data.previous_attributes["items"]["data"][0]["quantity"] == 1


async def test_a_card_that_cannot_be_attached_changes_nothing(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)

    outcome = await shop.control(f"/portal/{portal}/payment_method", {"number": NO_FUNDS})

    after = await shop.subscription(subscription.id)
    assert outcome["decline_code"] == "insufficient_funds"
    assert after.default_payment_method == subscription.default_payment_method


async def test_a_new_card_becomes_the_default_everywhere(shop: Shop) -> None:
    subscription = await shop.subscribe()
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/payment_method", {"number": GOOD})

    after = await shop.subscription(subscription.id)
    customer = await shop.stripe.customers.retrieve_async(subscription.customer)
    assert after.default_payment_method != subscription.default_payment_method
    assert customer.invoice_settings.default_payment_method == after.default_payment_method


async def test_a_flow_names_the_subscription_among_several(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"email": "a@example.com"})
    first = await shop.subscribe(customer=customer.id)
    second = await shop.subscribe(customer=customer.id)

    plain = await shop.portal(customer.id)
    await shop.control(f"/portal/{plain}/cancel", {}, status=400)
    flow = await shop.portal(
        customer.id,
        flow_data={
            "type": "subscription_cancel",
            "subscription_cancel": {"subscription": first.id},
        },
    )
    await shop.control(f"/portal/{flow}/cancel", {})
    await shop.control(f"/portal/{plain}/update", {"quantity": 2, "subscription": second.id})

    assert (await shop.subscription(first.id)).cancel_at is not None
    assert (await shop.subscription(second.id)).cancel_at is None
    assert (await shop.subscription(second.id))["items"].data[0].quantity == 2


@pytest.mark.parametrize(
    "flow",
    [
        {"type": "subscription_cancel"},
        {"type": "subscription_cancel", "subscription_cancel": {"subscription": "sub_none"}},
        {"type": "subscription_pause", "subscription_pause": {"subscription": "sub_none"}},
        {"type": "something_else"},
    ],
)
async def test_impossible_flows_are_refused(shop: Shop, flow: dict[str, Any]) -> None:
    customer = await shop.stripe.customers.create_async()

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.portal(customer.id, flow_data=flow)

    assert str(refused.value.param).startswith("flow_data")


async def test_a_configuration_decides_what_is_possible(shop: Shop) -> None:
    product = await shop.product()
    offered, other = await shop.price(product), await shop.price(product, 2000)
    configuration = await shop.stripe.billing_portal.configurations.create_async(
        {
            "features": {
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price"],
                    "products": [{"product": product.id, "prices": [offered.id]}],
                }
            }
        }
    )
    subscription = await shop.subscribe(offered)
    portal = await shop.portal(subscription.customer, configuration=configuration.id)

    for action, body in (
        ("cancel", {}),
        ("payment_method", {"number": GOOD}),
        ("update", {"quantity": 2}),
        ("update", {"price": other.id}),
        ("update", {}),
    ):
        await shop.control(f"/portal/{portal}/{action}", body, status=400)

    assert (await shop.subscription(subscription.id)).cancel_at is None


async def test_there_is_a_default_configuration_and_it_can_be_changed(shop: Shop) -> None:
    (default,) = (
        await shop.stripe.billing_portal.configurations.list_async({"is_default": True})
    ).data

    await shop.stripe.billing_portal.configurations.update_async(
        default.id, {"features": {"subscription_cancel": {"enabled": True, "mode": "immediately"}}}
    )
    subscription = await shop.subscribe()
    await shop.control(f"/portal/{await shop.portal(subscription.customer)}/cancel", {})

    assert default.features.subscription_update.enabled is True
    assert (await shop.subscription(subscription.id)).status == "canceled"


async def test_a_portal_session_has_an_address_and_a_way_back(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async()

    session = await shop.stripe.billing_portal.sessions.create_async(
        {"customer": customer.id, "return_url": "https://example.com/account"}
    )

    assert session.url.startswith(shop.url)
    assert session.return_url == "https://example.com/account"
    assert "billing_portal.session.created" in await shop.event_types()


async def test_a_subscription_canceled_while_its_renewal_is_a_draft_is_not_charged(
    shop: Shop,
) -> None:
    subscription = await shop.subscribe()
    end = subscription["items"].data[0].current_period_end
    await shop.advance(end - await shop.now())
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/cancel", {"immediately": True})
    await shop.advance(2 * HOUR)

    draft = (await shop.stripe.invoices.list_async()).data[0]
    assert (draft.status, draft.auto_advance) == ("draft", False)
