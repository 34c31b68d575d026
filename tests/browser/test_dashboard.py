import json
import re

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.browser.merchant import Merchant, button
from tests.browser.pictures import picture, pictures
from tests.emulator.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _tab(page: Page, name: str) -> None:
    await page.get_by_role("tab", name=re.compile(f"^{name}")).click()


async def test_what_happens_is_seen_without_a_reload(page: Page, shop: Shop) -> None:
    await page.goto(shop.url)
    await expect(page.get_by_text("Nothing here yet.")).to_be_visible()

    bought = await shop.subscribe(await shop.price(await shop.product(name="Premium"), 1500))

    await expect(page.get_by_role("cell", name="ada@example.com")).to_be_visible()
    await _tab(page, "Subscriptions")
    await expect(page.get_by_role("cell", name="Premium")).to_be_visible()
    await expect(page.get_by_role("cell", name="active")).to_be_visible()
    await pictures(page, "dashboard-subscriptions")
    await shop.stripe.subscriptions.cancel_async(bought.id)
    await expect(page.get_by_role("cell", name="canceled")).to_be_visible()
    for name in ("Checkout Sessions", "Invoices", "Events"):
        await _tab(page, name)
        await expect(page.get_by_role("row")).not_to_have_count(0)
        await picture(page, f"dashboard-{name.lower().replace(' ', '-')}")


async def test_an_event_is_sent_again(page: Page, merchant: Merchant) -> None:
    await merchant.listen()
    await merchant.shop.stripe.customers.create_async({"email": "ada@example.com"})
    await page.goto(f"{merchant.shop.url}/dashboard#events")
    await expect(page.get_by_role("cell", name="customer.created")).to_be_visible()

    await button(page, "Resend").click()

    await expect(page.get_by_role("status").filter(has_text="again")).to_be_visible()
    await _tab(page, "Deliveries")
    await expect(page.get_by_role("cell", name="customer.created")).to_have_count(2)
    await expect(page.get_by_role("cell", name="200")).to_have_count(2)
    await picture(page, "dashboard-deliveries")


async def test_webhooks_are_blocked_and_let_go(page: Page, merchant: Merchant) -> None:
    await merchant.listen()
    await page.goto(f"{merchant.shop.url}/#deliveries")
    await button(page, "Block webhooks").click()
    await expect(page.get_by_text("Blocked, 0 held back")).to_be_visible()

    await merchant.shop.stripe.customers.create_async({})

    await expect(page.get_by_text("Blocked, 1 held back")).to_be_visible()
    await expect(page.get_by_role("cell", name="held")).to_be_visible()
    await picture(page, "dashboard-blocked")
    await button(page, "Unblock webhooks").click()
    await expect(page.get_by_role("cell", name="delivered")).to_be_visible()


async def test_the_next_renewal_fails_when_time_comes(page: Page, shop: Shop) -> None:
    bought = await shop.subscribe()
    before = await shop.now()
    await page.goto(f"{shop.url}/#subscriptions")

    await button(page, "Fail next renewal").click()
    await expect(page.get_by_text("now pays with a card that fails")).to_be_visible()
    await button(page, "+ 1 month").click()
    await expect(page.get_by_text("31 days ahead")).to_be_visible()
    await button(page, "+ 1 hour").click()

    await expect(page.get_by_role("cell", name="past_due")).to_be_visible()
    await picture(page, "dashboard-past-due")
    assert (await shop.subscription(bought.id)).status == "past_due"
    assert await shop.now() - before >= 31 * 24 * 3600 + 3600


async def test_arrow_keys_walk_through_the_views(page: Page, shop: Shop) -> None:
    await page.goto(shop.url)
    await page.get_by_role("tab", name="Customers").focus()

    await page.keyboard.press("ArrowLeft")

    last = page.get_by_role("tab", name="Deliveries")
    await expect(last).to_be_focused()
    await expect(last).to_have_attribute("aria-selected", "true")


async def test_a_foreign_page_cannot_press_the_buttons(page: Page, merchant: Merchant) -> None:
    """A page of another origin sends what a browser lets it send without asking."""
    before = await merchant.shop.now()
    target = f"{merchant.shop.url}/_emulator/clock/advance"
    body = json.dumps({"seconds": 3600})
    await page.goto(f"{merchant.url}/return")

    await page.evaluate(
        "([url, body]) => fetch(url, {method: 'POST', mode: 'no-cors', body})", [target, body]
    )

    assert await merchant.shop.now() - before < 3600


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://shop.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        # A name that its owner made resolve to this machine.
        {"Origin": "http://rebound.example", "Host": "rebound.example"},
    ],
)
async def test_what_browsers_say_of_foreign_pages_is_heeded(
    shop: Shop, headers: dict[str, str]
) -> None:
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(f"{shop.url}/_emulator/reset", headers=headers) as answer,
    ):
        said = await answer.json()

    assert answer.status == 403
    assert "another origin" in said["error"]["message"]
