import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.merchant import Merchant, button, fill_card, form_in
from tests.browser.pictures import picture, pictures
from tests.emulator.shop import GOOD, NO_FUNDS, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

THREE_D_SECURE = "4000002500003155"
#: Ends a promise in words.
OR_ERROR = ".then(() => 'made', (error) => `${error.name}: ${error.message}`)"


async def _product(shop: Shop) -> Any:
    return await shop.stripe.products.create_async(
        {"name": "Premium", "description": "Everything, for the whole team"}
    )


async def test_a_card_pays_on_the_hosted_page(page: Page, merchant: Merchant) -> None:
    shop = merchant.shop
    price = await shop.price(await _product(shop), 1500)
    session = await merchant.sell_hosted(
        price,
        allow_promotion_codes=True,
        consent_collection={"terms_of_service": "required"},
        custom_text={
            "submit": {
                "message": "Renews each month. **Cancel** under [Account](https://a.example)."
            },
            "after_submit": {"message": "Questions? Write to <us>."},
        },
    )

    await page.goto(session.url)
    await expect(page.get_by_role("heading", name="Subscribe to Premium")).to_be_visible()
    await pictures(page, "payment-hosted")
    await page.get_by_label("Promotion code").fill("SPRING")
    await button(page, "Apply").click()
    await expect(page.get_by_text("This code is invalid.")).to_be_visible()
    await fill_card(page, GOOD)
    await button(page, "Subscribe").click()
    await expect(page.get_by_text("Please accept the terms to go on.")).to_be_visible()
    await page.get_by_label("I agree to the terms of service.").check()
    await button(page, "Subscribe").click()

    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    paid = await merchant.session(session.id)
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.customer_details.email == "ada@example.com"


async def test_a_promotion_code_takes_something_off(page: Page, merchant: Merchant) -> None:
    stripe = merchant.shop.stripe
    coupon = await stripe.coupons.create_async({"percent_off": 25, "duration": "once"})
    await stripe.promotion_codes.create_async(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"}
    )
    session = await merchant.sell_hosted(allow_promotion_codes=True)
    await page.goto(session.url)
    await fill_card(page, GOOD)

    await page.get_by_label("Promotion code").fill("SPRING")
    await button(page, "Apply").click()

    await expect(page.locator(".total")).to_contain_text("$7.50")
    await expect(page.get_by_text("-$2.50")).to_be_visible()
    await expect(page.get_by_label("Email")).to_have_value("ada@example.com")
    await picture(page, "payment-discount")
    await button(page, "Subscribe").click()
    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    assert (await merchant.session(session.id)).amount_total == 750


async def test_a_card_pays_in_the_merchants_own_page(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell(await merchant.shop.price(await _product(merchant.shop), 1500))
    form = form_in(page)

    await page.goto(merchant.url)
    await expect(button(form, "Subscribe")).to_be_visible()
    await pictures(page, "payment-embedded")
    await fill_card(form, GOOD)
    await button(form, "Subscribe").click()

    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    assert (await merchant.session(session.id)).payment_status == "paid"


async def test_the_frame_is_as_tall_as_its_form(page: Page, merchant: Merchant) -> None:
    await merchant.sell()
    await page.goto(merchant.url)
    frame = page.locator("iframe[title=Checkout]")
    wide = await _settled_height(page)

    await page.set_viewport_size({"width": 390, "height": 844})

    await expect(frame).not_to_have_css("height", f"{wide}px")
    narrow = await _settled_height(page)
    assert wide != 600
    assert narrow > wide


async def _settled_height(page: Page) -> int:
    """Wait until the frame is as tall as what is in it."""
    handle = await page.wait_for_selector("iframe[title=Checkout]")
    inside = await handle.content_frame()
    assert inside is not None
    await inside.wait_for_selector("#payment")
    body = await inside.wait_for_selector("body")
    within = await body.bounding_box()
    assert within is not None
    height = round(within["height"] + 0.499)
    await expect(page.locator("iframe[title=Checkout]")).to_have_css("height", f"{height}px")
    return height


async def test_a_declined_card_is_said_and_another_one_pays(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted()
    await page.goto(session.url)
    await fill_card(page, NO_FUNDS)

    await button(page, "Subscribe").click()

    await expect(page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    assert (await merchant.session(session.id)).status == "open"
    await picture(page, "payment-declined")
    await page.get_by_label("Card number").fill(GOOD)
    await button(page, "Subscribe").click()
    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()


async def test_what_cannot_be_right_is_said_at_its_field(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted()
    await page.goto(session.url)

    await button(page, "Subscribe").click()

    email = page.get_by_label("Email")
    await expect(email).to_be_focused()
    await expect(email).to_have_attribute("aria-invalid", "true")
    await expect(email).to_have_accessible_description("Enter your e-mail address.")
    await expect(page.get_by_text("Your card number is incomplete.")).to_be_visible()
    await picture(page, "payment-incomplete")
    await fill_card(page, "4242 4242 4242 4241")
    await button(page, "Subscribe").click()
    number = page.get_by_label("Card number")
    await expect(number).to_have_accessible_description("Your card number is incorrect.")
    await expect(email).not_to_have_attribute("aria-invalid", "true")
    assert await number.input_value() == "4242 4242 4242 4241"


async def test_the_bank_is_told_yes(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell()
    form = form_in(page)
    await page.goto(merchant.url)
    await fill_card(form, THREE_D_SECURE)

    await button(form, "Subscribe").click()

    await expect(form.get_by_role("dialog")).to_be_visible()
    await picture(page, "payment-3ds")
    await button(form, "Complete").click()
    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    assert (await merchant.session(session.id)).payment_status == "paid"


async def test_the_bank_is_told_no(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted()
    await page.goto(session.url)
    await fill_card(page, THREE_D_SECURE)
    await button(page, "Subscribe").click()

    await button(page, "Fail").click()

    await expect(page.get_by_role("alert")).to_contain_text("unable to authenticate")
    assert (await merchant.session(session.id)).status == "open"
    await page.get_by_label("Card number").fill(GOOD)
    await button(page, "Subscribe").click()
    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()


async def test_an_iban_pays_later(page: Page, merchant: Merchant) -> None:
    price = await merchant.shop.price(None, 900, currency="eur")
    session = await merchant.sell_hosted(price)
    await page.goto(session.url)
    await page.get_by_role("radio", name="SEPA Direct Debit").check()
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Name on the card or account").fill("Ada Lovelace")
    await page.get_by_label("IBAN").fill("AT321904300235473205")
    await button(page, "Subscribe").click()
    await expect(page.get_by_text("The IBAN you provided is invalid.")).to_be_visible()
    await picture(page, "payment-sepa")

    await page.get_by_label("IBAN").fill("AT321904300235473204")
    await button(page, "Subscribe").click()

    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    under_way = await merchant.session(session.id)
    await merchant.shop.advance(300)
    settled = await merchant.session(session.id)
    assert (under_way.status, under_way.payment_status) == ("complete", "unpaid")
    assert settled.payment_status == "paid"


async def test_an_australian_account_pays(page: Page, merchant: Merchant) -> None:
    price = await merchant.shop.price(None, 900, currency="aud")
    session = await merchant.sell_hosted(price)
    await page.goto(session.url)
    await page.get_by_role("radio", name="BECS Direct Debit").check()
    await page.get_by_label("Email").fill("ada@example.com")
    await page.get_by_label("Name on the card or account").fill("Ada Lovelace")
    await page.get_by_label("BSB").fill("000000")
    await page.get_by_label("Account number").fill("12")
    await button(page, "Subscribe").click()
    await expect(page.get_by_text("The account number you provided is invalid")).to_be_visible()
    await picture(page, "payment-becs")

    await page.get_by_label("Account number").fill("900123456")
    await button(page, "Subscribe").click()

    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    assert (await merchant.session(session.id)).status == "complete"


async def test_a_trial_is_free_today(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted(subscription_data={"trial_period_days": 14}, locale="fr")
    await page.goto(session.url)
    await expect(page.get_by_text("14 jours gratuits")).to_be_visible()
    await picture(page, "payment-trial-french")
    await page.get_by_text("Remplir avec un compte de test").click()
    await page.get_by_role("button", name="4242 4242 4242 4242").click()
    await page.get_by_label("Adresse e-mail").fill("ada@example.com")

    await button(page, "Commencer l'essai").click()

    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()
    assert (await merchant.session(session.id)).payment_status == "no_payment_required"


@pytest.mark.parametrize("redirect", ["never", "if_required"])
async def test_without_a_redirect_the_merchants_page_is_told(
    page: Page, merchant: Merchant, redirect: str
) -> None:
    back = {} if redirect == "never" else {"return_url": merchant.back}
    price = await merchant.shop.price()
    session = await merchant.shop.stripe.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "ui_mode": "embedded_page",
            "redirect_on_completion": redirect,
            "line_items": [{"price": price.id, "quantity": 1}],
            **back,
        }
    )
    merchant.secret = session.client_secret
    form = form_in(page)
    await page.goto(merchant.url)
    await fill_card(form, GOOD)

    await button(form, "Subscribe").click()

    await expect(page.get_by_text("The shop knows.")).to_be_visible()
    await expect(form.get_by_role("heading", name="Thank you")).to_be_visible()
    await picture(page, f"payment-done-{redirect}")
    assert (await merchant.session(session.id)).status == "complete"


async def test_the_customer_waits_for_the_webhooks_answer(page: Page, merchant: Merchant) -> None:
    await merchant.listen()
    session = await merchant.sell_hosted()
    await page.goto(session.url)
    await fill_card(page, GOOD)
    merchant.takes_webhooks.clear()

    await button(page, "Subscribe").click()

    await expect(page.get_by_role("button", name="Processing…")).to_be_disabled()
    await picture(page, "payment-processing")
    while (await merchant.session(session.id)).status != "complete":
        pass
    assert page.url == session.url
    merchant.takes_webhooks.set()
    await expect(page.get_by_role("heading", name=f"Back with {session.id}")).to_be_visible()


async def test_an_expired_session_says_so(page: Page, merchant: Merchant) -> None:
    hosted = await merchant.sell_hosted()
    embedded = await merchant.sell()
    for session in (hosted, embedded):
        await merchant.shop.stripe.checkout.sessions.expire_async(session.id)

    await page.goto(hosted.url)
    await expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()
    await pictures(page, "payment-expired")
    await page.goto(merchant.url)

    await expect(form_in(page).get_by_role("heading")).to_have_text("This page has expired")


async def test_a_session_that_expires_while_it_is_shown_is_not_paid(
    page: Page, merchant: Merchant
) -> None:
    session = await merchant.sell_hosted()
    await page.goto(session.url)
    await fill_card(page, GOOD)
    await merchant.shop.stripe.checkout.sessions.expire_async(session.id)

    await button(page, "Subscribe").click()

    await expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()


async def test_a_session_is_paid_once(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted()
    await merchant.shop.pay(session.id)

    await page.goto(session.url)

    await expect(page.get_by_role("heading", name="You're all done here")).to_be_visible()
    await picture(page, "payment-complete")


async def test_no_such_session(page: Page, merchant: Merchant) -> None:
    response = await page.goto(f"{merchant.shop.url}/c/pay/cs_test_none")

    assert response is not None
    assert response.status == 404
    await expect(page.get_by_text("No such checkout.session: 'cs_test_none'")).to_be_visible()
    await picture(page, "payment-unknown")


async def test_only_the_client_secret_opens_the_frame(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell()
    merchant.secret = f"{session.id}_secret_guessed"

    await page.goto(merchant.url)

    await expect(form_in(page).get_by_text("No such checkout.session")).to_be_visible()


async def test_keys_reach_everything_in_order(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell_hosted()
    await page.goto(session.url)
    await page.get_by_label("Email").focus()
    order = [await _focused(page)]

    for _ in range(6):
        await page.keyboard.press("Tab")
        order.append(await _focused(page))

    assert order == ["email", "number", "expiry", "cvc", "name", "summary", "button"]
    await expect(page.locator(":focus-visible")).to_have_css("outline-style", "solid")


async def _focused(page: Page) -> str:
    said = await page.evaluate(
        "document.activeElement.id || document.activeElement.tagName.toLowerCase()"
    )
    return str(said)


async def test_only_one_form_at_a_time(page: Page, merchant: Merchant) -> None:
    session = await merchant.sell()
    await page.goto(merchant.url)
    await expect(button(form_in(page), "Subscribe")).to_be_visible()
    again = f"stripe.createEmbeddedCheckoutPage({{clientSecret: '{session.client_secret}'}})"

    second = await page.evaluate(again + OR_ERROR)
    await page.evaluate("checkout.destroy()")
    after = await page.evaluate(again + OR_ERROR)

    assert second == "IntegrationError: You cannot have multiple Embedded Checkout objects."
    assert after == "made"
    await expect(page.locator("iframe")).to_have_count(0)


async def test_a_form_can_be_taken_down_and_mounted_again(page: Page, merchant: Merchant) -> None:
    await merchant.sell()
    await page.goto(merchant.url)
    await expect(button(form_in(page), "Subscribe")).to_be_visible()

    await page.evaluate("checkout.unmount()")
    await expect(page.locator("iframe")).to_have_count(0)
    await page.evaluate("checkout.mount(document.querySelector('#checkout'))")

    await expect(button(form_in(page), "Subscribe")).to_be_visible()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("Stripe('')", "You used an empty string"),
        ("Stripe('sk_test_x')", "should not use your secret key"),
        ("Stripe('pk_live_x')", "test keys only"),
        ("stripe.initEmbeddedCheckout({})", "Use stripe.createEmbeddedCheckoutPage() instead"),
        ("stripe.redirectToCheckout({})", "no longer exists"),
        ("checkout.mount('#checkout')", "mounted already"),
        ("checkout.unmount(), checkout.mount('#nowhere')", "applies to no DOM elements"),
        ("checkout.destroy(), checkout.mount('#checkout')", "has been destroyed"),
        (
            "checkout.destroy(), stripe.createEmbeddedCheckoutPage({clientSecret: 'pi_secret'})",
            "not that of a Checkout Session",
        ),
        ("checkout.destroy(), stripe.createEmbeddedCheckoutPage({})", "either clientSecret or"),
    ],
)
async def test_misuse_is_told_to_the_developer(
    page: Page, merchant: Merchant, script: str, message: str
) -> None:
    await merchant.sell()
    await page.goto(merchant.url)
    await expect(page.locator("iframe")).to_have_count(1)

    said = await page.evaluate(f"(async () => ({script}))(){OR_ERROR}")

    assert re.match(f"IntegrationError: .*{re.escape(message)}", said)


async def test_a_stranger_cannot_speak_for_the_frame(page: Page, merchant: Merchant) -> None:
    await merchant.sell()
    await page.goto(merchant.url)
    await expect(button(form_in(page), "Subscribe")).to_be_visible()

    await page.evaluate(
        """async () => {
            const frame = document.createElement("iframe");
            const forged = "{type: 'complete', redirect: null}";
            frame.srcdoc = `<script>parent.postMessage(${forged}, '*')</script>`;
            const heard = new Promise((heard) => addEventListener("message", heard, {once: true}));
            document.body.append(frame);
            await heard;
        }"""
    )

    await expect(page.locator("#said")).to_have_text("")
