"""No page of the storefront or the emulator has a barrier that axe-core knows of."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.browser import barriers as axe
from tests.browser.barriers import barriers
from tests.browser.customer import Customer
from tests.browser.merchant import Merchant, button, form_in
from tests.emulator.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

THREE_D_SECURE = "4000002500003155"


async def test_a_barrier_is_found_where_there_is_one(page: Page) -> None:
    await page.set_content("<!doctype html><html lang='en'><title>t</title><main><h1>x</h1><img>")

    assert [each.split()[0] for each in await barriers(page)] == ["image-alt", "in"]


async def test_the_lock_names_no_place_to_fetch_from() -> None:
    packages = json.loads(axe.LOCK.read_text())["packages"]

    assert {name for name in packages if name} == {"node_modules/axe-core"}
    assert all("resolved" not in package for package in packages.values())
    assert "integrity" in packages["node_modules/axe-core"]


@pytest.mark.parametrize("path", ["/", "/?lang=fr", "/sign-in", "/nowhere"])
async def test_nobody_is_kept_out_before_signing_in(customer: Customer, path: str) -> None:
    await customer.go(path)

    assert await barriers(customer.page) == []


async def test_nobody_is_kept_out_of_an_address_that_is_wrong(customer: Customer) -> None:
    await customer.go("/sign-in")
    await customer.page.get_by_label("E-mail address").fill("nobody")
    await customer.click("Sign in")

    await expect(customer.page.get_by_role("alert")).to_be_visible()
    assert await barriers(customer.page) == []


async def test_nobody_is_kept_out_of_buying(customer: Customer) -> None:
    await customer.choose("Basic")
    assert await barriers(customer.page) == []
    await customer.pay(THREE_D_SECURE)
    await expect(form_in(customer.page).get_by_role("dialog")).to_be_visible()
    assert await barriers(customer.page) == []
    await button(form_in(customer.page), "Complete").click()
    await customer.sees("Thank you!")
    assert await barriers(customer.page) == []
    for path in ("/", "/account", "/features/api_access", "/features/reports"):
        await customer.go(path)
        assert await barriers(customer.page) == []


async def test_nobody_is_kept_out_of_the_portal(customer: Customer) -> None:
    page = customer.page
    await customer.buy("Basic")
    await customer.go("/account")
    await customer.click("Manage billing")
    home = page.url
    assert await barriers(page) == []
    for link in ("Change payment method", "Change details", "Cancel subscription", "Change plan"):
        await page.goto(home)
        await customer.follow(link)
        assert await barriers(page) == []
    await page.get_by_role("radio", name="Premium $15.00").check()
    await customer.click("Continue")
    assert await barriers(page) == []
    await customer.click("Confirm")
    assert await barriers(page) == []


async def test_nobody_is_kept_out_of_the_hosted_page(page: Page, merchant: Merchant) -> None:
    price = await merchant.shop.price(None, 900, currency="eur")
    session = await merchant.sell_hosted(price, allow_promotion_codes=True)
    await page.goto(session.url)
    assert await barriers(page) == []
    await button(page, "Subscribe").click()
    await expect(page.get_by_text("Your card number is incomplete.")).to_be_visible()
    assert await barriers(page) == []
    await page.get_by_role("radio", name="SEPA Direct Debit").check()
    assert await barriers(page) == []
    await page.goto(f"{merchant.shop.url}/c/pay/cs_test_nothing")
    assert await barriers(page) == []


async def test_nobody_is_kept_out_of_the_dashboard(page: Page, shop: Shop) -> None:
    await shop.subscribe(await shop.price())
    await page.goto(shop.url)
    views = page.get_by_role("tab")
    await expect(views.first).to_be_visible()

    for view in await views.all():
        await view.click()
        assert await barriers(page) == []
