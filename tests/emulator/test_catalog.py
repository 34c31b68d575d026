from decimal import Decimal
from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, HOUR, Shop


async def test_a_product_comes_with_its_price(shop: Shop) -> None:
    product = await shop.stripe.products.create_async(
        {
            "name": "Pro",
            "default_price_data": {
                "currency": "EUR",
                "unit_amount": 900,
                "recurring": {"interval": "month"},
            },
            "expand": ["default_price"],
        }
    )

    price: Any = product.default_price
    assert (price.currency, price.unit_amount, price.product) == ("eur", 900, product.id)


async def test_products_are_changed_listed_and_deleted(shop: Shop) -> None:
    product = await shop.product()
    other = await shop.product()

    await shop.stripe.products.update_async(
        product.id, {"name": "Team", "active": False, "metadata": {"a": "1"}}
    )
    inactive = await shop.stripe.products.list_async({"active": False})
    deleted = await shop.stripe.products.delete_async(product.id)
    left = await shop.stripe.products.list_async()

    again: Any = await shop.stripe.products.retrieve_async(product.id)
    assert [one.name for one in inactive] == ["Team"]
    assert deleted.deleted is True
    assert again.deleted is True
    assert [one.id for one in left] == [other.id]


async def test_a_product_with_prices_cannot_be_deleted(shop: Shop) -> None:
    product = await shop.product()
    await shop.price(product)

    with pytest.raises(stripe.InvalidRequestError, match="user-created prices"):
        await shop.stripe.products.delete_async(product.id)

    assert (await shop.stripe.products.retrieve_async(product.id)).name == "Pro"


async def test_prices_are_found_by_lookup_key(shop: Shop) -> None:
    price = await shop.price(lookup_key="pro_monthly")
    await shop.price(lookup_key="team_monthly")

    found = await shop.stripe.prices.list_async({"lookup_keys": ["pro_monthly"]})

    assert [one.id for one in found] == [price.id]


async def test_a_lookup_key_belongs_to_one_price_and_can_be_transferred(shop: Shop) -> None:
    product = await shop.product()
    old = await shop.price(product, lookup_key="pro")

    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        await shop.price(product, lookup_key="pro")
    new = await shop.price(product, lookup_key="pro", transfer_lookup_key=True)

    assert new.lookup_key == "pro"
    assert (await shop.stripe.prices.retrieve_async(old.id)).lookup_key is None


async def test_prices_are_filtered(shop: Shop) -> None:
    product = await shop.product()
    monthly = await shop.price(product)
    yearly = await shop.price(product, recurring={"interval": "year"})
    await shop.stripe.prices.update_async(monthly.id, {"active": False})

    active = await shop.stripe.prices.list_async({"active": True, "product": product.id})
    by_interval = await shop.stripe.prices.list_async({"recurring": {"interval": "month"}})

    assert [one.id for one in active] == [yearly.id]
    assert [one.id for one in by_interval] == [monthly.id]


async def test_an_archived_price_is_not_sold(shop: Shop) -> None:
    price = await shop.price()
    await shop.stripe.prices.update_async(price.id, {"active": False})

    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        await shop.session(price)

    assert (await shop.stripe.checkout.sessions.list_async()).data == []


async def test_fractions_of_a_cent_are_rounded_on_the_invoice(shop: Shop) -> None:
    product = await shop.product()
    price = await shop.stripe.prices.create_async(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount_decimal": Decimal("0.5"),
            "recurring": {"interval": "month"},
        }
    )

    session = await shop.session(price, line_items=[{"price": price.id, "quantity": 3}])

    assert price.unit_amount is None
    assert price.unit_amount_decimal == Decimal("0.5")
    assert session.amount_total == 2


@pytest.mark.parametrize(
    "params",
    [
        {"unit_amount": -1},
        {"unit_amount": 10**9},
        {"unit_amount_decimal": "1.5"},
        {"product": "prod_none"},
        {"recurring": {"interval": "month", "interval_count": 37}},
        {"recurring": {"interval": "fortnight"}},
        {"recurring": {"interval_count": 1}},
        {"recurring": {"interval": "month", "usage_type": "metered"}},
        {"billing_scheme": "tiered"},
        {"tiers_mode": "graduated"},
    ],
)
async def test_impossible_prices_are_refused(shop: Shop, params: Any) -> None:
    product = await shop.product()
    good = {
        "product": product.id,
        "currency": "usd",
        "unit_amount": 1000,
        "recurring": {"interval": "month"},
    }

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.prices.create_async({**good, **params})

    assert refused.value.http_status == 400


async def test_features_have_unique_lookup_keys_until_archived(shop: Shop) -> None:
    params: Any = {"name": "Reports", "lookup_key": "reports"}
    first = await shop.stripe.entitlements.features.create_async(params)

    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        await shop.stripe.entitlements.features.create_async(params)
    await shop.stripe.entitlements.features.update_async(first.id, {"active": False})
    second = await shop.stripe.entitlements.features.create_async(params)

    listed = await shop.stripe.entitlements.features.list_async({"lookup_key": "reports"})
    archived = await shop.stripe.entitlements.features.list_async({"archived": True})
    assert [feature.id for feature in listed] == [second.id, first.id]
    assert [feature.id for feature in archived] == [first.id]


async def test_products_have_features(shop: Shop) -> None:
    product = await shop.product("reports", "exports")

    attached = await shop.stripe.products.features.list_async(product.id)
    one = await shop.stripe.products.features.retrieve_async(product.id, attached.data[0].id)
    await shop.stripe.products.features.delete_async(product.id, one.id)
    left = await shop.stripe.products.features.list_async(product.id)

    assert [row.entitlement_feature.lookup_key for row in attached] == ["exports", "reports"]
    assert [row.entitlement_feature.lookup_key for row in left] == ["reports"]


async def _lookup_keys(shop: Shop, customer: str) -> set[str]:
    page = await shop.stripe.entitlements.active_entitlements.list_async({"customer": customer})
    return {entitlement.lookup_key for entitlement in page}


async def test_a_subscription_entitles_until_it_ends(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.price(await shop.product("reports", "exports")))
    held = await _lookup_keys(shop, subscription.customer)

    await shop.stripe.subscriptions.cancel_async(subscription.id)

    granted, withdrawn = await shop.events(type="entitlements.active_entitlement_summary.updated")
    assert held == {"reports", "exports"}
    assert await _lookup_keys(shop, subscription.customer) == set()
    assert granted.data.object["customer"] == subscription.customer
    assert granted.data.previous_attributes.to_dict() == {"entitlements": {"data": []}}
    assert len(granted.data.object["entitlements"]["data"]) == 2
    assert withdrawn.data.object["entitlements"]["data"] == []
    assert withdrawn.request.id is None


async def test_an_unpaid_first_invoice_entitles_to_nothing(shop: Shop) -> None:
    session = await shop.session(await shop.price(await shop.product("reports")))
    await shop.pay(session.id, "4000000000009995")

    (subscription,) = (await shop.stripe.subscriptions.list_async()).data

    assert await _lookup_keys(shop, str(subscription.customer)) == set()


async def test_one_subscription_ending_takes_nothing_that_another_gives(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"email": "a@example.com"})
    price = await shop.price(await shop.product("reports"))
    first = await shop.subscribe(price, customer=customer.id)
    await shop.subscribe(price, customer=customer.id)

    await shop.stripe.subscriptions.cancel_async(first.id)

    summaries = await shop.events(type="entitlements.active_entitlement_summary.updated")
    assert await _lookup_keys(shop, customer.id) == {"reports"}
    assert len(summaries) == 1


async def test_a_new_feature_reaches_a_subscription_with_its_next_period(shop: Shop) -> None:
    product = await shop.product("reports")
    price = await shop.price(product, recurring={"interval": "week"})
    subscription = await shop.subscribe(price)
    feature = await shop.stripe.entitlements.features.create_async(
        {"name": "Exports", "lookup_key": "exports"}
    )
    await shop.stripe.products.features.create_async(
        product.id, {"entitlement_feature": feature.id}
    )

    before = await _lookup_keys(shop, subscription.customer)
    await shop.advance(7 * DAY + HOUR)
    after = await _lookup_keys(shop, subscription.customer)

    assert before == {"reports"}
    assert after == {"reports", "exports"}


async def test_an_upgrade_changes_the_entitlements(shop: Shop) -> None:
    small = await shop.price(await shop.product("reports"))
    large = await shop.price(await shop.product("exports"), 3000)
    subscription = await shop.subscribe(small)
    portal = await shop.portal(subscription.customer)

    await shop.control(f"/portal/{portal}/update", {"price": large.id})

    assert await _lookup_keys(shop, subscription.customer) == {"exports"}


async def test_a_trial_entitles(shop: Shop) -> None:
    subscription = await shop.subscribe(
        await shop.price(await shop.product("reports")),
        subscription_data={"trial_period_days": 7},
    )

    assert await _lookup_keys(shop, subscription.customer) == {"reports"}


async def test_a_summary_shows_ten_and_the_list_shows_all(shop: Shop) -> None:
    keys = [f"feature-{number}" for number in range(12)]
    subscription = await shop.subscribe(await shop.price(await shop.product(*keys)))

    (summary,) = await shop.events(type="entitlements.active_entitlement_summary.updated")
    page = await shop.stripe.entitlements.active_entitlements.list_async(
        {"customer": subscription.customer, "limit": 5}
    )

    listed = {entitlement.lookup_key async for entitlement in page.auto_paging_iter()}
    assert len(summary.data.object["entitlements"]["data"]) == 10
    assert summary.data.object["entitlements"]["has_more"] is True
    assert listed == set(keys)


async def test_deleting_a_customer_cancels_what_they_have(shop: Shop) -> None:
    subscription = await shop.subscribe()

    deleted = await shop.stripe.customers.delete_async(subscription.customer)

    again: Any = await shop.stripe.customers.retrieve_async(subscription.customer)
    assert deleted.deleted is True
    assert again.to_dict() == {"id": subscription.customer, "object": "customer", "deleted": True}
    assert (await shop.subscription(subscription.id)).status == "canceled"
    assert (await shop.stripe.customers.list_async()).data == []
    assert (await shop.event_types())[-2:] == ["customer.subscription.deleted", "customer.deleted"]


async def test_a_deleted_customer_cannot_be_used(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async()
    await shop.stripe.customers.delete_async(customer.id)

    with pytest.raises(stripe.InvalidRequestError, match="No such customer") as refused:
        await shop.session(customer=customer.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        await shop.stripe.customers.update_async(customer.id, {"name": "x"})

    assert refused.value.http_status == 400


async def test_metadata_is_merged_and_unset(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"metadata": {"a": "1", "b": "2"}})

    merged = await shop.stripe.customers.update_async(
        customer.id, {"metadata": {"a": "", "c": "3"}}
    )
    cleared = await shop.stripe.customers.update_async(customer.id, {"metadata": ""})

    assert merged.metadata.to_dict() == {"b": "2", "c": "3"}
    assert cleared.metadata.to_dict() == {}


async def test_cards_are_attached_listed_and_detached(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async()

    attached = await shop.stripe.payment_methods.attach_async(
        "pm_card_visa", {"customer": customer.id}
    )
    listed = await shop.stripe.payment_methods.list_async({"customer": customer.id})
    same = await shop.stripe.customers.payment_methods.list_async(customer.id)
    await shop.stripe.payment_methods.detach_async(attached.id)
    after = await shop.stripe.payment_methods.list_async({"customer": customer.id})

    assert [one.id for one in listed] == [attached.id]
    assert [one.id for one in same] == [attached.id]
    assert after.data == []


async def test_a_detached_card_pays_no_renewal(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.price(recurring={"interval": "week"}))
    await shop.stripe.payment_methods.detach_async(subscription.default_payment_method)

    await shop.advance(7 * DAY + HOUR)

    assert (await shop.subscription(subscription.id)).status == "past_due"
