"""The storefront, the emulator, the gateway and the service, by clicking."""

import pytest
from playwright.async_api import expect

from tests.browser.customer import Customer
from tests.browser.merchant import button, form_in
from tests.browser.pictures import picture, pictures

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_FUNDS = "4000000000009995"
THREE_D_SECURE = "4000002500003155"
#: Succeeds after three minutes, and fails after three.
SLOW_IBAN, BOUNCING_IBAN = "AT321904300235473204", "AT051904300235473205"
IN_EUROS = "?currency=eur"
FIVE_MINUTES = 300 / 3600


async def test_basic_is_bought_and_opens_what_it_holds(customer: Customer) -> None:
    page = customer.page
    await customer.go("/")
    await pictures(page, "storefront-pricing")
    await customer.follow("API access")
    await pictures(page, "storefront-sign-in")
    await customer.sign_in()
    await expect(page.locator("main .badge")).to_have_text("Closed")
    await pictures(page, "storefront-refused")
    await customer.follow("See the prices")
    await customer.follow("Subscribe to Basic")
    await expect(button(form_in(page), "Subscribe")).to_be_visible()
    await pictures(page, "storefront-subscribe")

    await customer.pay()

    await customer.sees("Thank you!")
    await customer.reads(f"The receipt goes to {customer.email}.")
    await pictures(page, "storefront-thanks")
    await customer.follow("Go to your account")
    await expect(page.get_by_role("article", name="Basic")).to_contain_text("Renews on")
    await pictures(page, "storefront-account")
    await customer.may_use("api_access")
    await pictures(page, "storefront-feature")
    await customer.is_refused("reports")
    await expect(page.get_by_text("It is part of Premium.")).to_be_visible()


async def test_a_declined_card_is_followed_by_one_that_pays(customer: Customer) -> None:
    await customer.choose("Basic")
    form = form_in(customer.page)

    await customer.pay(NO_FUNDS)

    await expect(form.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    await form.get_by_label("Card number").fill("4242424242424242")
    await button(form, "Subscribe").click()
    await customer.sees("Thank you!")
    await customer.may_use("api_access")


async def test_the_bank_asks_and_is_told_yes(customer: Customer) -> None:
    await customer.choose("Basic")

    await customer.pay(THREE_D_SECURE)

    form = form_in(customer.page)
    await expect(form.get_by_role("dialog")).to_be_visible()
    await picture(customer.page, "storefront-3ds")
    await button(form, "Complete").click()
    await customer.sees("Thank you!")


async def _pay_by_debit(customer: Customer, iban: str) -> None:
    await customer.choose("Basic", query=IN_EUROS)
    form = form_in(customer.page)
    await form.get_by_role("radio", name="SEPA Direct Debit").check()
    await form.get_by_label("Name on the card or account").fill("Ada Lovelace")
    await form.get_by_label("IBAN").fill(iban)
    await button(form, "Subscribe").click()
    await customer.sees("Your bank is working on it")


async def test_a_debit_turns_the_page_by_itself_when_it_arrives(customer: Customer) -> None:
    await _pay_by_debit(customer, SLOW_IBAN)
    await pictures(customer.page, "storefront-waiting")

    await customer.stack.emulator.advance(hours=FIVE_MINUTES)

    await customer.sees("Thank you!")
    await customer.may_use("api_access")


async def test_a_debit_that_is_on_its_way_opens_nothing_and_may_bounce(customer: Customer) -> None:
    await _pay_by_debit(customer, BOUNCING_IBAN)
    returned_to = customer.page.url
    await customer.is_refused("api_access")
    await customer.page.goto(returned_to)
    await customer.sees("Your bank is working on it")

    await customer.stack.emulator.advance(hours=FIVE_MINUTES)

    await customer.sees("Your bank did not pay")
    await picture(customer.page, "storefront-bounced")
    await customer.is_refused("api_access")
    await customer.go("/account")
    await customer.reads("Nothing of it is open: a payment has not arrived.")
    await picture(customer.page, "storefront-account-unpaid")


async def test_who_leaves_and_comes_back_finds_the_same_session_open(customer: Customer) -> None:
    first = await customer.choose("Basic")
    await customer.follow("Back to the prices")

    again = await customer.come_back(f"/return?price=basic_monthly&session_id={first}")

    assert again == first
    await customer.reads("Nothing has been paid yet.")
    await picture(customer.page, "storefront-again")
    await customer.pay()
    await customer.sees("Thank you!")
    assert customer.session_id == first


async def test_what_is_paid_in_another_window_opens_the_page_at_once(customer: Customer) -> None:
    await customer.choose("Premium")
    other = await customer.page.context.new_page()
    await other.goto(f"{customer.url}/features/reports")
    await expect(other.locator("main .badge")).to_have_text("Closed")

    await customer.pay()

    await customer.sees("Thank you!")
    await expect(other.locator("main .badge")).to_have_text("Open")


async def test_the_portal_upgrades_and_cancels_and_the_gates_follow(customer: Customer) -> None:
    await customer.buy("Basic")
    page = customer.page
    await customer.is_refused("reports")
    await pictures(page, "storefront-upgrade")

    await customer.click("Change plan")
    await page.get_by_role("radio", name="Premium $15.00").check()
    await customer.click("Continue")
    await customer.click("Confirm")

    await expect(page.get_by_role("article", name="Premium")).to_be_visible()
    await customer.may_use("reports")
    await customer.go("/account")
    await customer.click("Manage billing")
    await page.get_by_role("link", name="Cancel subscription").click()
    await customer.click("Cancel subscription")
    await customer.follow("Back to the shop")
    await expect(page.get_by_role("article", name="Premium")).to_contain_text("Ends on")
    await picture(page, "storefront-canceled")
    await customer.may_use("reports")


async def test_what_is_canceled_at_once_closes_the_page_that_is_open(customer: Customer) -> None:
    await customer.buy("Premium")
    await customer.go("/account")
    await customer.click("Manage billing")
    portal_session = customer.page.url.rpartition("/")[2]
    await customer.may_use("reports")

    await customer.stack.emulator.portal(portal_session, "cancel", immediately=True)

    await expect(customer.page.locator("main .badge")).to_have_text("Closed")
    await customer.go("/account")
    await customer.reads("You have no plan.")


async def test_another_plan_is_a_change_and_never_a_second_one(customer: Customer) -> None:
    await customer.buy("Basic")

    await customer.go("/subscribe?price=premium_monthly")

    await expect(customer.page.get_by_role("radio", name="Premium $15.00")).to_be_visible()
    await customer.go("/")
    await expect(button(customer.page, "Change to Premium")).to_be_visible()
    await picture(customer.page, "storefront-pricing-held")


async def test_the_return_page_is_right_while_no_webhook_comes(customer: Customer) -> None:
    await customer.stack.emulator.faults({"webhooks": {"blocked": True}})
    await customer.choose("Basic")

    await customer.pay()

    # Stripe sends customers on without an answer to its webhook after ten seconds.
    await expect(customer.page.get_by_role("heading", name="Thank you!")).to_be_visible(
        timeout=30_000
    )
    await customer.may_use("api_access")


@pytest.mark.parametrize("missing", ["**/dahlia/stripe.js", "**/create-checkout-session"])
async def test_a_form_that_does_not_come_is_said(customer: Customer, missing: str) -> None:
    await customer.page.route(missing, lambda route: route.abort())
    await customer.go("/")
    await customer.follow("Subscribe to Basic")

    await customer.sign_in()

    alert = customer.page.get_by_role("alert")
    await expect(alert).to_contain_text("The payment form cannot be reached.")
    await expect(alert).to_be_focused()


async def test_what_the_server_says_against_a_sale_is_shown(customer: Customer) -> None:
    refusal = {"error": "Not today."}
    await customer.page.route(
        "**/create-checkout-session", lambda route: route.fulfill(status=503, json=refusal)
    )
    await customer.go("/")
    await customer.follow("Subscribe to Basic")

    await customer.sign_in()

    await expect(customer.page.get_by_role("alert")).to_have_text("Not today.")


async def test_french_is_spoken_to_whoever_asks_for_it(customer: Customer) -> None:
    await customer.go("/")

    await customer.follow("Français")

    await customer.sees("Du papier qui vole tout seul")
    await expect(customer.page.locator(".price").first).to_have_text(
        "5\N{NO-BREAK SPACE}€ par mois"
    )
    await picture(customer.page, "storefront-french")
    await customer.go("/sign-in")
    await customer.sees("Se connecter")
    await customer.follow("English")
    await customer.sees("Sign in")


async def test_everything_can_be_reached_by_the_keyboard(customer: Customer) -> None:
    await customer.go("/")
    page = customer.page

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await picture(page, "storefront-keyboard")
    await page.get_by_role("link", name="Subscribe to Basic").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("E-mail address").fill(customer.email)
    await page.keyboard.press("Enter")

    await customer.sees("Subscribe to Basic")
