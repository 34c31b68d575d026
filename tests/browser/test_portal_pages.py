import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.merchant import Merchant, button, fill_card
from tests.browser.pictures import picture, pictures
from tests.emulator.shop import DAY, FAILS_LATER, GOOD, NO_FUNDS, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

THREE_D_SECURE = "4000002500003155"


async def _catalog(shop: Shop) -> tuple[Any, Any]:
    basic = await shop.product(name="Basic")
    premium = await shop.product(name="Premium")
    return await shop.price(basic, 500), await shop.price(premium, 1500)


async def _portal(shop: Shop, customer: str, **params: Any) -> str:
    session = await shop.stripe.billing_portal.sessions.create_async(
        {"customer": customer, **params}
    )
    return session.url


async def test_a_customer_changes_cancels_and_renews(page: Page, merchant: Merchant) -> None:
    shop = merchant.shop
    basic, premium = await _catalog(shop)
    bought = await shop.subscribe(basic)
    await page.goto(await _portal(shop, bought.customer, return_url=f"{merchant.url}/return"))
    await expect(page.get_by_text("Visa •••• 4242")).to_be_visible()
    await pictures(page, "portal")

    await page.get_by_role("link", name="Change plan").click()
    await page.get_by_role("radio", name="Premium").check()
    await picture(page, "portal-update")
    await button(page, "Continue").click()
    await expect(page.get_by_text("Charged now, for what is left of this period")).to_be_visible()
    await expect(page.get_by_text("$10.00")).to_be_visible()
    await picture(page, "portal-confirm")
    await button(page, "Confirm").click()
    await expect(page.get_by_role("status")).to_have_text("Your subscription has been changed.")
    upgraded = await shop.subscription(bought.id)
    assert upgraded["items"].data[0].price.id == premium.id

    await page.get_by_role("link", name="Cancel subscription").click()
    await page.get_by_role("radio", name="It is too expensive").check()
    await page.get_by_label("Anything to add?").fill("Sorry!")
    await picture(page, "portal-cancel")
    await button(page, "Cancel subscription").click()
    await expect(page.get_by_role("status")).to_have_text("Your subscription has been canceled.")
    await expect(page.get_by_text("Ends on")).to_be_visible()
    await picture(page, "portal-canceled")
    canceled = await shop.subscription(bought.id)
    assert canceled.cancel_at is not None
    assert canceled.cancellation_details.feedback == "too_expensive"
    assert canceled.cancellation_details.comment == "Sorry!"

    await button(page, "Don't cancel").click()
    await expect(page.get_by_role("status")).to_have_text("Your subscription goes on.")
    assert (await shop.subscription(bought.id)).cancel_at is None

    await page.get_by_role("link", name="Back to the shop").click()
    await expect(page.get_by_role("heading", name="Back with nothing")).to_be_visible()


async def test_a_quantity_is_changed_and_the_same_plan_is_not(page: Page, shop: Shop) -> None:
    bought = await shop.subscribe(await shop.price())
    url = await _portal(shop, bought.customer, locale="fr")
    await page.goto(url)
    await page.get_by_role("link", name="Changer de formule").click()

    await button(page, "Continuer").click()
    await expect(page.get_by_text("This is the plan that you have.")).to_be_visible()
    await page.goto(url)
    await picture(page, "portal-french")
    await page.get_by_role("link", name="Changer de formule").click()
    await page.get_by_label("Quantité").fill("3")
    await button(page, "Continuer").click()
    await button(page, "Confirmer").click()

    await expect(page.get_by_role("status")).to_have_text("Votre abonnement a été modifié.")
    assert (await shop.subscription(bought.id))["items"].data[0].quantity == 3


async def test_a_new_card_settles_what_is_overdue(page: Page, shop: Shop) -> None:
    bought = await shop.subscribe()
    fails = await shop.portal(bought.customer)
    await shop.control(f"/portal/{fails}/payment_method", {"number": FAILS_LATER})
    await shop.advance(32 * DAY)
    await page.goto(await _portal(shop, bought.customer))
    await expect(page.get_by_text("Past due")).to_be_visible()
    await picture(page, "portal-past-due")

    await page.get_by_role("link", name="Change payment method").click()
    await button(page, "Save").click()
    await expect(page.get_by_text("Your card number is incomplete.")).to_be_visible()
    await fill_card(page, NO_FUNDS, email=None)
    await button(page, "Save").click()
    await expect(page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    await picture(page, "portal-declined")
    await fill_card(page, GOOD, email=None)
    await button(page, "Save").click()

    await expect(page.get_by_role("status")).to_have_text("Your payment method has been changed.")
    await expect(page.get_by_text("Active")).to_be_visible()
    assert (await shop.subscription(bought.id)).status == "active"


async def test_the_bank_asks_in_the_portal_too(page: Page, shop: Shop) -> None:
    bought = await shop.subscribe()
    await page.goto(await _portal(shop, bought.customer))
    await page.get_by_role("link", name="Change payment method").click()
    await fill_card(page, THREE_D_SECURE, email=None)
    await button(page, "Save").click()
    await picture(page, "portal-3ds")

    await button(page, "Fail").click()
    await expect(page.get_by_role("alert")).to_contain_text("unable to authenticate")
    refused = await shop.subscription(bought.id)
    await fill_card(page, THREE_D_SECURE, email=None)
    await button(page, "Save").click()
    await button(page, "Complete").click()

    await expect(page.get_by_text("Visa •••• 3155")).to_be_visible()
    accepted = await shop.subscription(bought.id)
    assert refused.default_payment_method == bought.default_payment_method
    assert accepted.default_payment_method != bought.default_payment_method


async def test_a_customer_of_a_test_clock_lives_in_its_time(page: Page, shop: Shop) -> None:
    now = await shop.now()
    clock = await shop.stripe.test_helpers.test_clocks.create_async({"frozen_time": now + 400})
    customer = await shop.stripe.customers.create_async(
        {"test_clock": clock.id, "email": "ada@example.com"}
    )
    basic, premium = await _catalog(shop)
    bought = await shop.subscribe(basic, customer=customer.id)
    await page.goto(await _portal(shop, customer.id))

    await page.get_by_role("link", name="Change plan").click()
    await page.get_by_role("radio", name="Premium").check()
    await button(page, "Continue").click()
    await button(page, "Confirm").click()

    await expect(page.get_by_role("status")).to_have_text("Your subscription has been changed.")
    changed = await shop.subscription(bought.id)
    invoice = await shop.stripe.invoices.retrieve_async(changed.latest_invoice)
    assert changed["items"].data[0].price.id == premium.id
    assert invoice.created == now + 400
    await page.get_by_role("link", name="Change payment method").click()
    await fill_card(page, GOOD, email=None)
    await button(page, "Save").click()
    await expect(page.get_by_role("status")).to_contain_text("payment method")
    paid_with = (await shop.subscription(bought.id)).default_payment_method
    card = await shop.stripe.payment_methods.retrieve_async(paid_with)
    assert card.created == now + 400


async def test_details_are_changed(page: Page, shop: Shop) -> None:
    bought = await shop.subscribe()
    await page.goto(await _portal(shop, bought.customer))
    await page.get_by_role("link", name="Change details").click()
    await page.get_by_label("Email").fill("grace")
    await button(page, "Save").click()
    await expect(page.get_by_text("Your email is invalid.")).to_be_visible()
    await picture(page, "portal-details")

    await page.get_by_label("Email").fill("grace@example.com")
    await page.get_by_label("Name").fill("Grace Hopper")
    await button(page, "Save").click()

    await expect(page.get_by_text("Grace Hopper")).to_be_visible()
    customer = await shop.stripe.customers.retrieve_async(bought.customer)
    assert customer.email == "grace@example.com"


async def test_a_flow_ends_where_it_says(page: Page, merchant: Merchant) -> None:
    shop = merchant.shop
    bought = await shop.subscribe()
    after = {"type": "redirect", "redirect": {"return_url": f"{merchant.url}/return"}}
    url = await _portal(
        shop,
        bought.customer,
        flow_data={
            "type": "subscription_cancel",
            "subscription_cancel": {"subscription": bought.id},
            "after_completion": after,
        },
    )

    await page.goto(url)
    await expect(page.get_by_role("heading", name="Cancel your subscription")).to_be_visible()
    await picture(page, "portal-flow")
    await page.goto(f"{url}/payment_method")
    await expect(page.get_by_role("heading", name="Cancel your subscription")).to_be_visible()
    await button(page, "Cancel subscription").click()

    await expect(page.get_by_role("heading", name="Back with nothing")).to_be_visible()
    assert (await shop.subscription(bought.id)).cancel_at is not None


async def test_a_flow_about_one_change_only_asks_to_confirm_it(page: Page, shop: Shop) -> None:
    basic, premium = await _catalog(shop)
    bought = await shop.subscribe(basic)
    item = bought["items"].data[0].id
    url = await _portal(
        shop,
        bought.customer,
        flow_data={
            "type": "subscription_update_confirm",
            "subscription_update_confirm": {
                "subscription": bought.id,
                "items": [{"id": item, "price": premium.id, "quantity": 2}],
            },
            "after_completion": {
                "type": "hosted_confirmation",
                "hosted_confirmation": {"custom_message": "Welcome to Premium."},
            },
        },
    )

    await page.goto(url)
    await expect(page.get_by_text(re.compile("Premium . 2"))).to_be_visible()
    await button(page, "Confirm").click()

    await expect(page.get_by_text("Welcome to Premium.")).to_be_visible()
    await picture(page, "portal-done")
    changed = (await shop.subscription(bought.id))["items"].data[0]
    assert (changed.price.id, changed.quantity) == (premium.id, 2)


async def test_what_the_configuration_leaves_out_is_neither_shown_nor_done(
    page: Page, shop: Shop
) -> None:
    bought = await shop.subscribe()
    configuration = await shop.stripe.billing_portal.configurations.create_async(
        {"features": {"invoice_history": {"enabled": True}}}
    )
    url = await _portal(shop, bought.customer, configuration=configuration.id)

    await page.goto(url)

    await expect(page.get_by_text("Renews on")).to_be_visible()
    await expect(page.get_by_role("heading", name="Invoices")).to_be_visible()
    await expect(page.get_by_role("link")).to_have_count(0)
    await expect(page.get_by_role("button")).to_have_count(0)
    subscription = f"{url}/subscriptions/{bought.id}"
    for form in (
        f"{subscription}/cancel",
        f"{subscription}/renew",
        f"{subscription}/update/confirm",
        f"{url}/payment_method",
        f"{url}/customer",
    ):
        answer = await page.request.post(form, form={"quantity": "2", **CARD})
        assert answer.status == 400, form
    assert (await shop.subscription(bought.id)).cancel_at is None


CARD = {"number": GOOD, "expiry": "12 / 34", "cvc": "123", "name": "Ada"}


async def test_another_customers_subscription_is_none_of_ours(page: Page, shop: Shop) -> None:
    mine, theirs = await shop.subscribe(), await shop.subscribe()
    url = await _portal(shop, mine.customer)
    await page.goto(url)

    answer = await page.request.post(f"{url}/subscriptions/{theirs.id}/cancel")

    assert answer.status == 400
    assert f"No such subscription: &#39;{theirs.id}&#39;" in await answer.text()
    assert (await shop.subscription(theirs.id)).cancel_at is None


async def test_a_used_address_opens_in_no_other_browser(
    page: Page, browser: Browser, shop: Shop
) -> None:
    url = await _portal(shop, (await shop.subscribe()).customer)
    await page.goto(url)
    stranger = await browser.new_page()

    await stranger.goto(url)

    await expect(stranger.get_by_text("was used before or is too old")).to_be_visible()
    await picture(stranger, "portal-used")
    await stranger.close()
    await page.reload()
    await expect(page.get_by_role("heading", name="Subscriptions")).to_be_visible()


async def test_an_address_that_nobody_opens_gets_too_old(page: Page, shop: Shop) -> None:
    url = await _portal(shop, (await shop.subscribe()).customer)

    await shop.advance(301)
    response = await page.goto(url)

    assert response is not None
    assert response.status == 410


async def test_a_visit_ends_when_nothing_happens(page: Page, shop: Shop) -> None:
    url = await _portal(shop, (await shop.subscribe()).customer)
    await page.goto(url)
    statuses = []

    for seconds in (3500, 3500, 3601):
        await shop.advance(seconds)
        statuses.append((await page.request.get(url)).status)

    assert statuses == [200, 200, 410]
